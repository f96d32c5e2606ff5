//! Which files were fought over lately: a delegation that is soon recalled costs more than none.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-10.4>

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::exports::FileKey;

/// Files that one shard remembers.
const REMEMBERED: usize = 256;
/// How long nobody gets a delegation after a first conflict; twice as long after each further one.
const PAUSE: Duration = Duration::from_secs(15);
/// Doublings at most: about an hour.
const DOUBLINGS: u32 = 8;

/// The last conflicts over delegations.
#[derive(Debug, Default)]
pub(in crate::state::files) struct History {
    files: HashMap<FileKey, Conflicts>,
    order: VecDeque<FileKey>,
}

#[derive(Debug, Clone, Copy)]
struct Conflicts {
    count: u32,
    last: Instant,
}

impl Conflicts {
    fn pause(self) -> Duration {
        PAUSE * (1 << self.count.saturating_sub(1).min(DOUBLINGS))
    }
}

impl History {
    /// Notes that a delegation of the file was in somebody's way.
    pub(in crate::state::files) fn note(&mut self, key: FileKey, now: Instant) {
        if let Some(conflicts) = self.files.get_mut(&key) {
            // Who kept the peace for a further pause is judged anew.
            let peace = now.saturating_duration_since(conflicts.last);
            let count = if peace > conflicts.pause() * 2 {
                0
            } else {
                conflicts.count
            };
            *conflicts = Conflicts {
                count: count.saturating_add(1),
                last: now,
            };
            return;
        }
        let conflicts = Conflicts {
            count: 1,
            last: now,
        };
        self.files.insert(key, conflicts);
        self.order.push_back(key);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.files.remove(&oldest);
        }
    }

    /// Whether the last conflict over the file is long enough ago.
    pub(in crate::state::files) fn is_settled(&self, key: &FileKey, now: Instant) -> bool {
        self.files.get(key).is_none_or(|conflicts| {
            now.saturating_duration_since(conflicts.last) >= conflicts.pause()
        })
    }
}

#[cfg(test)]
mod tests {
    use dittofs_sdk::vfs::Handle;
    use uuid::Uuid;

    use super::*;

    fn key(name: u32) -> FileKey {
        FileKey {
            share: Uuid::nil(),
            handle: Handle::new(&name.to_be_bytes()).unwrap(),
        }
    }

    #[test]
    fn each_conflict_doubles_the_pause_up_to_a_bound() {
        let (mut history, mut now) = (History::default(), Instant::now());
        assert!(history.is_settled(&key(1), now));
        let mut pause = PAUSE;
        for _ in 0..20 {
            history.note(key(1), now);
            assert!(!history.is_settled(&key(1), now + pause.mul_f32(0.9)));
            assert!(history.is_settled(&key(1), now + pause));
            assert!(history.is_settled(&key(2), now));
            now += pause;
            pause = (pause * 2).min(PAUSE * (1 << DOUBLINGS));
        }
    }

    #[test]
    fn peace_is_rewarded() {
        let (mut history, now) = (History::default(), Instant::now());
        history.note(key(1), now);
        history.note(key(1), now);
        let later = now + PAUSE * 5;
        history.note(key(1), later);
        assert!(history.is_settled(&key(1), later + PAUSE));
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let (mut history, now) = (History::default(), Instant::now());
        for name in 0..=REMEMBERED as u32 {
            history.note(key(name), now);
        }
        assert!(history.is_settled(&key(0), now));
        assert!(!history.is_settled(&key(1), now));
        assert_eq!(history.files.len(), history.order.len());
    }
}
