//! One sync for all who wait for the same object.
//!
//! What was changed before a sync began is safe when it ends. So whoever comes while one is under
//! way waits for the next, and all who came meanwhile share that one: of many changes to one
//! directory at the same time few are synced.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use dittofs_sdk::vfs::{VfsError, VfsResult};
use parking_lot::{Condvar, Mutex};

/// What is synced: the object's number, and whether its data only.
type Key = (u64, bool);

/// The syncs under way. Every caller is a thread, so that there are no more of them than threads.
#[derive(Default)]
pub(super) struct Syncs {
    /// Whether a new object is safe when its directory is.
    pub(super) cover_new: bool,
    lines: Mutex<HashMap<Key, Arc<Line>>>,
}

/// Those who wait for one object.
#[derive(Default)]
struct Line {
    turns: Mutex<Turns>,
    ended: Condvar,
}

/// Syncs are numbered from 1.
#[derive(Default)]
struct Turns {
    started: u64,
    ended: u64,
    failed: u64,
    is_running: bool,
}

impl Syncs {
    /// For the file system of `dir`, which is on `device`.
    pub(super) fn new(dir: BorrowedFd<'_>, device: (u32, u32)) -> Self {
        Self {
            cover_new: creates_whole(dir, device),
            lines: Mutex::default(),
        }
    }

    /// Returns when a sync of `fileid` that began after this call has ended: this `sync`, or
    /// somebody else's.
    pub(super) fn share(
        &self,
        (fileid, data_only): Key,
        sync: impl FnOnce() -> VfsResult<()>,
    ) -> VfsResult<()> {
        let key = (fileid, data_only);
        let line = Arc::clone(self.lines.lock().entry(key).or_default());
        let done = line.wait(sync);
        let mut lines = self.lines.lock();
        // The table's and ours: nobody else is in the line, and nobody joins without the lock.
        if Arc::strong_count(&line) == 2 {
            lines.remove(&key);
        }
        done
    }
}

/// Whether the file system of `dir` makes an object and its entry in one transaction, which a sync
/// of the directory commits: XFS, and ext4 with its journal.
fn creates_whole(dir: BorrowedFd<'_>, (major, minor): (u32, u32)) -> bool {
    let kind = rustix::fs::fstatfs(dir).map(|fs| fs.f_type as u64 & 0xffff_ffff);
    let has_journal = || {
        let disk = std::fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        let ext4 = std::path::Path::new("/sys/fs/ext4").join(disk.file_name()?);
        ext4.join("journal_task").exists().then_some(())
    };
    match kind {
        Ok(0x5846_5342) => true,
        Ok(0xef53) => has_journal().is_some(),
        _ => false,
    }
}

impl Line {
    fn wait(&self, sync: impl FnOnce() -> VfsResult<()>) -> VfsResult<()> {
        let mut turns = self.turns.lock();
        let wanted = turns.started + 1;
        while turns.is_running && turns.ended < wanted {
            self.ended.wait(&mut turns);
        }
        if turns.ended < wanted {
            turns.started += 1;
            turns.is_running = true;
            let turn = Turn {
                line: self,
                number: turns.started,
            };
            drop(turns);
            let done = sync();
            turn.end(done.is_ok());
            return done;
        }
        // A later failure may be of what came later; to doubt too much is safe.
        if turns.failed >= wanted {
            return Err(VfsError::Io);
        }
        Ok(())
    }
}

/// A sync under way. One that is not ended well has failed, be it by a panic.
struct Turn<'a> {
    line: &'a Line,
    number: u64,
}

impl Turn<'_> {
    fn end(self, is_ok: bool) {
        if is_ok {
            self.over(true);
            std::mem::forget(self);
        }
    }

    fn over(&self, is_ok: bool) {
        let mut turns = self.line.turns.lock();
        turns.is_running = false;
        turns.ended = self.number;
        if !is_ok {
            turns.failed = self.number;
        }
        drop(turns);
        self.line.ended.notify_all();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.over(false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Eight come while a sync is under way.
    fn crowd(second: VfsResult<()>) -> (usize, Vec<VfsResult<()>>) {
        let syncs = Syncs::default();
        let count = AtomicUsize::new(0);
        let (entered, leave) = (Barrier::new(2), Barrier::new(2));
        let answers = std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                syncs.share((7, false), || {
                    count.fetch_add(1, Ordering::SeqCst);
                    entered.wait();
                    leave.wait();
                    Ok(())
                })
            });
            entered.wait();
            let later: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        syncs.share((7, false), || {
                            count.fetch_add(1, Ordering::SeqCst);
                            second
                        })
                    })
                })
                .collect();
            // All eight hold the line, beside the table and the first.
            while syncs
                .lines
                .lock()
                .get(&(7, false))
                .map_or(0, Arc::strong_count)
                < 10
            {
                std::thread::yield_now();
            }
            leave.wait();
            assert_eq!(first.join().unwrap(), Ok(()));
            later.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert!(syncs.lines.lock().is_empty());
        (count.into_inner(), answers)
    }

    #[test]
    fn who_comes_meanwhile_shares_the_next_sync() {
        let (count, answers) = crowd(Ok(()));
        assert!((2..=9).contains(&count));
        assert!(answers.iter().all(Result::is_ok));
    }

    #[test]
    fn nobody_is_told_that_a_failed_sync_was_good() {
        let (_, answers) = crowd(Err(VfsError::Io));
        assert_eq!(answers, [Err(VfsError::Io); 8]);
    }

    #[test]
    fn a_sync_that_began_before_is_not_good_enough() {
        let syncs = Syncs::default();
        for _ in 0..3 {
            let mut ran = false;
            syncs
                .share((1, true), || {
                    ran = true;
                    Ok(())
                })
                .unwrap();
            assert!(ran);
        }
    }
}
