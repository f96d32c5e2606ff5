//! Numbers by which the other side names a file that this side lent it.
//!
//! An operation on two files has one of them as its object; the other crosses back as a number,
//! which is looked up here. Only files that are ever named so have one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;

use crate::vfs::{File, VfsError, VfsResult};

static FILES: LazyLock<Mutex<HashMap<u64, Weak<dyn File>>>> = LazyLock::new(Mutex::default);
/// 0 is no file.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The number of a file, which means nothing any more when this is dropped; 0 until the file has one.
#[derive(Default)]
pub(super) struct Token(AtomicU64);

impl Token {
    /// That of `file`, which is the same each time.
    pub(super) fn number(&self, file: &Arc<dyn File>) -> u64 {
        let known = self.0.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        // Whoever comes second finds the number of the first.
        let mut files = FILES.lock();
        let known = self.0.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        files.insert(number, Arc::downgrade(file));
        self.0.store(number, Ordering::Relaxed);
        number
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let number = *self.0.get_mut();
        if number != 0 {
            FILES.lock().remove(&number);
        }
    }
}

/// The file that `number` names; one of no file is of another file system for all that this side
/// knows.
pub(super) fn file_of(number: u64) -> VfsResult<Arc<dyn File>> {
    let found = FILES.lock().get(&number).and_then(Weak::upgrade);
    found.ok_or(VfsError::CrossDevice)
}
