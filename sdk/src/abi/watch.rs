//! Watches and watchers across the border, in either direction.

use std::sync::Arc;

use abi_stable::sabi_trait;
use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::RBox;

use super::guard::{Quiet, guard};
use super::op::Wire;
use crate::vfs::{Reaction, Touch, VfsResult, Watch, Watcher};

/// The functions of a watcher. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireWatcher: Send + Sync {
    #[sabi(last_prefix_field)]
    fn touched(&self, touch: u32) -> u32;
}

/// The functions of a watch. A function added later comes last and has a default.
#[sabi_trait]
pub(super) trait WireWatch: Send + Sync {
    #[sabi(last_prefix_field)]
    fn is_untouched(&self) -> bool;
}

pub(super) type WatcherObject = WireWatcher_TO<'static, RBox<()>>;
pub(super) type WatchObject = WireWatch_TO<'static, RBox<()>>;

/// This side's watcher, for the other side.
pub(super) fn lend(watcher: Arc<dyn Watcher>) -> WatcherObject {
    WireWatcher_TO::from_value(LocalWatcher(Quiet::new(watcher)), TD_Opaque)
}

/// The other side's watcher, on this side.
pub(super) fn borrow(object: WatcherObject) -> Arc<dyn Watcher> {
    Arc::new(ForeignWatcher(object))
}

impl Wire for Box<dyn Watch> {
    type Form = WatchObject;
    fn into_wire(self) -> WatchObject {
        WireWatch_TO::from_value(LocalWatch(Quiet::new(self)), TD_Opaque)
    }
    fn from_wire(object: WatchObject) -> VfsResult<Self> {
        Ok(Box::new(ForeignWatch(object)))
    }
}

fn reaction_code(reaction: Reaction) -> u32 {
    match reaction {
        Reaction::Proceed => 0,
        Reaction::Delay => 1,
    }
}

/// A reaction that is unknown here asks for more than this side can do.
fn reaction_of(code: u32) -> Reaction {
    match code {
        1 => Reaction::Delay,
        _ => Reaction::Proceed,
    }
}

struct LocalWatcher(Quiet<Arc<dyn Watcher>>);

impl WireWatcher for LocalWatcher {
    fn touched(&self, touch: u32) -> u32 {
        guard(
            || reaction_code(self.0.touched(Touch(touch))),
            |_| reaction_code(Reaction::Proceed),
        )
    }
}

struct ForeignWatcher(WatcherObject);

impl Watcher for ForeignWatcher {
    fn touched(&self, touch: Touch) -> Reaction {
        reaction_of(self.0.touched(touch.0))
    }
}

struct LocalWatch(Quiet<Box<dyn Watch>>);

impl WireWatch for LocalWatch {
    fn is_untouched(&self) -> bool {
        // Who can't tell is no ground to rely on.
        guard(|| self.0.is_untouched(), |_| false)
    }
}

struct ForeignWatch(WatchObject);

impl Watch for ForeignWatch {
    fn is_untouched(&self) -> bool {
        self.0.is_untouched()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Notes what it is told; delays what reads and panics at what sets attributes.
    #[derive(Default)]
    struct Noting(AtomicU32);

    impl Watcher for Noting {
        fn touched(&self, touch: Touch) -> Reaction {
            self.0.fetch_or(touch.0, Ordering::Relaxed);
            assert_ne!(touch, Touch::META, "a watcher's panic");
            if touch == Touch::READ {
                Reaction::Delay
            } else {
                Reaction::Proceed
            }
        }
    }

    struct Moody;

    impl Watch for Moody {
        fn is_untouched(&self) -> bool {
            panic!("in the call");
        }
    }

    impl Drop for Moody {
        fn drop(&mut self) {
            panic!("in the destructor");
        }
    }

    #[test]
    fn a_watcher_is_told_and_its_reaction_comes_back() {
        let noting = Arc::new(Noting::default());
        let watcher = borrow(lend(noting.clone()));
        assert_eq!(watcher.touched(Touch::READ), Reaction::Delay);
        assert_eq!(watcher.touched(Touch::WRITE), Reaction::Proceed);
        assert_eq!(
            watcher.touched(Touch::META),
            Reaction::Proceed,
            "it panicked"
        );
        assert_eq!(noting.0.load(Ordering::Relaxed), Touch::ANY.0);
    }

    #[test]
    fn a_watch_that_panics_counts_as_touched_and_ends_quietly() {
        let watch = <Box<dyn Watch>>::from_wire((Box::new(Moody) as Box<dyn Watch>).into_wire());
        let watch = watch.unwrap();
        assert!(!watch.is_untouched());
        drop(watch);
    }
}
