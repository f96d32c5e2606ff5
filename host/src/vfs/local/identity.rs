//! Under whose identity system calls run.
//!
//! With the privileges of root, the kernel itself decides about permissions: the calling thread
//! takes the caller's user, group and further groups for its file-system checks and gives them
//! back afterwards. A thread of our own pool keeps them until another caller's turn, so that
//! consecutive requests of one user pay nothing.
//!
//! Without those privileges everything is done as the server's user, after the permission bits
//! were judged against the caller here.

use std::cell::{Cell, RefCell};

use dittofs_sdk::vfs::{Cred, VfsError, VfsResult};
use rustix::fs::{Gid, Mode};

use super::sys;

thread_local! {
    /// Whom this thread acts for; none is the server itself.
    static ACTING: RefCell<Option<Cred>> = const { RefCell::new(None) };
    static WORKER: Cell<bool> = const { Cell::new(false) };
    /// Whether its creation mask is its own, once that was tried.
    static OWN_MASK: Cell<Option<bool>> = const { Cell::new(None) };
    /// Guards alive on this thread: only the outermost of a worker may leave the identity as it is.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Who decides about permissions.
#[derive(Debug)]
pub(super) enum Identity {
    /// The kernel, under the caller's identity.
    Caller(Server),
    /// We, by permission bits; then the kernel, under the server's own identity.
    Own,
}

/// What the server's threads are when they act for nobody.
#[derive(Debug)]
pub(super) struct Server {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
}

impl Identity {
    /// [`Identity::Caller`] if this process may change its threads' identity.
    pub(super) fn detect() -> Self {
        let groups = rustix::process::getgroups().unwrap_or_default();
        let server = Server {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups: groups.into_iter().map(Gid::as_raw).collect(),
        };
        let identity = Self::Caller(server);
        let able = rustix::process::geteuid().is_root()
            && identity.act(&Cred::user(65_534, 65_534), || Ok(())).is_ok();
        if able { identity } else { Self::Own }
    }

    /// Whether the kernel decides under the caller's identity.
    pub(super) fn is_caller(&self) -> bool {
        matches!(self, Self::Caller(_))
    }

    /// Whether `cred` passes every check that the server passes, and owns nothing by that.
    pub(super) fn is_like_server(&self, cred: &Cred) -> bool {
        matches!(self, Self::Caller(server) if server.uid == 0 && cred.uid == 0)
    }

    /// Runs `call` as `cred`, where the kernel decides.
    pub(super) fn act<T>(&self, cred: &Cred, call: impl FnOnce() -> VfsResult<T>) -> VfsResult<T> {
        let Self::Caller(server) = self else {
            return call();
        };
        // The superuser passes every check, so that only the group of new objects matters.
        let is_server = cred.uid == server.uid && cred.gid == server.gid;
        let _guard = server.become_(Some(cred).filter(|_| !is_server))?;
        call()
    }

    /// Runs `call` as the server itself.
    pub(super) fn serve<T>(&self, call: impl FnOnce() -> VfsResult<T>) -> VfsResult<T> {
        let Self::Caller(server) = self else {
            return call();
        };
        let _guard = server.become_(None)?;
        call()
    }

    /// Judges by permission bits, unless the kernel will decide.
    pub(super) fn judge(&self, rule: impl FnOnce() -> VfsResult<()>) -> VfsResult<()> {
        if self.is_caller() { Ok(()) } else { rule() }
    }
}

impl Server {
    fn become_(&self, wanted: Option<&Cred>) -> VfsResult<Guard<'_>> {
        let before = ACTING.with_borrow(Clone::clone);
        if before.as_ref() != wanted {
            self.switch(wanted)?;
        }
        let kept = WORKER.get() && DEPTH.get() == 0;
        let back = if kept || before.as_ref() == wanted {
            Back::Keep
        } else {
            Back::Become(before)
        };
        DEPTH.set(DEPTH.get() + 1);
        Ok(Guard { server: self, back })
    }

    fn switch(&self, to: Option<&Cred>) -> VfsResult<()> {
        let (uid, gid, groups) = match to {
            Some(cred) => (cred.uid, cred.gid, &*cred.groups),
            None => (self.uid, self.gid, &*self.groups),
        };
        // The kernel takes the largest number for "no user"; nobody can act as that.
        if uid == u32::MAX || gid == u32::MAX {
            return Err(VfsError::Invalid);
        }
        let done =
            sys::set_groups(groups).is_ok() && sys::set_fs_group(gid) && sys::set_fs_user(uid);
        if !done {
            self.reset();
            return Err(VfsError::Io);
        }
        ACTING.replace(to.cloned());
        Ok(())
    }

    /// After a failure: the server's own identity, as a known state.
    fn reset(&self) {
        let done = sys::set_fs_user(self.uid)
            && sys::set_fs_group(self.gid)
            && sys::set_groups(&self.groups).is_ok();
        if done {
            ACTING.replace(None);
        } else {
            tracing::error!("a thread can't return to the server's identity");
        }
    }
}

/// What a thread does about its identity at the end of a call.
enum Back {
    Keep,
    Become(Option<Cred>),
}

/// Gives the thread back whom it acted for before.
struct Guard<'a> {
    server: &'a Server,
    back: Back,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        if let Back::Become(before) = &self.back
            && self.server.switch(before.as_ref()).is_err()
        {
            tracing::error!("a thread can't return to its earlier identity");
        }
    }
}

/// Marks this thread as one of the pool: it runs nothing but our jobs, each of which says whom
/// it acts for, and files that it creates get exactly the mode that was asked for.
pub(super) fn become_worker() {
    WORKER.set(true);
    // Some sandboxes forbid it; then the mask of the whole process is cleared.
    let own = sys::unshare_umask().is_ok();
    OWN_MASK.set(Some(own));
    rustix::process::umask(Mode::empty());
}

/// Whether this thread, whoever it belongs to, can create with a mask that is its alone.
pub(super) fn has_own_mask() -> bool {
    if OWN_MASK.get().is_none() {
        OWN_MASK.set(Some(sys::unshare_umask().is_ok()));
    }
    OWN_MASK.get() == Some(true)
}

/// Runs `call` with the creation mask cleared, on a thread that [`has_own_mask`].
pub(super) fn unmasked<T>(call: impl FnOnce() -> T) -> T {
    struct Mask(Mode);
    impl Drop for Mask {
        fn drop(&mut self) {
            rustix::process::umask(self.0);
        }
    }
    let _mask = Mask(rustix::process::umask(Mode::empty()));
    call()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// User, groups of this very thread in the kernel's eyes.
    fn kernel_says() -> (u32, Vec<u32>) {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let numbers = |key: &str| -> Vec<u32> {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap();
            line.split_whitespace()
                .skip(1)
                .map(|n| n.parse().unwrap())
                .collect()
        };
        (numbers("Uid:")[3], numbers("Groups:"))
    }

    fn caller() -> Identity {
        let identity = Identity::detect();
        assert!(
            identity.is_caller(),
            "this test acts as several users: run it as root"
        );
        identity
    }

    fn user(uid: u32) -> Cred {
        Cred {
            uid,
            gid: uid,
            groups: [uid + 1, uid + 2].into(),
        }
    }

    #[test]
    fn a_foreign_thread_is_itself_again_afterwards() {
        let identity = caller();
        let before = kernel_says();
        identity
            .act(&user(1000), || {
                assert_eq!(kernel_says(), (1000, vec![1001, 1002]));
                identity.serve(|| {
                    assert_eq!(kernel_says(), before);
                    Ok(())
                })?;
                assert_eq!(kernel_says(), (1000, vec![1001, 1002]));
                Ok(())
            })
            .unwrap();
        assert_eq!(kernel_says(), before);
    }

    #[test]
    fn a_panic_does_not_leave_the_thread_as_somebody_else() {
        let identity = caller();
        let before = kernel_says();
        let act = std::panic::AssertUnwindSafe(|| {
            identity.act(&user(1000), || -> VfsResult<()> {
                panic!("a test's panic")
            })
        });
        assert!(std::panic::catch_unwind(act).is_err());
        assert_eq!(kernel_says(), before);
    }

    #[test]
    fn a_worker_changes_identity_for_every_caller_and_never_inside_a_call() {
        let identity = caller();
        let server = kernel_says();
        std::thread::spawn(move || {
            become_worker();
            for uid in [1000, 2000, 1000] {
                identity
                    .act(&user(uid), || {
                        assert_eq!(kernel_says().0, uid);
                        identity.serve(|| {
                            assert_eq!(kernel_says(), server);
                            Ok(())
                        })?;
                        assert_eq!(kernel_says().0, uid);
                        Ok(())
                    })
                    .unwrap();
            }
            identity.serve(|| Ok(())).unwrap();
            assert_eq!(kernel_says(), server);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn nobody_acts_as_the_impossible_user() {
        let identity = caller();
        for cred in [Cred::user(u32::MAX, 1), Cred::user(1, u32::MAX)] {
            assert_eq!(identity.act(&cred, || Ok(())), Err(VfsError::Invalid));
        }
    }
}
