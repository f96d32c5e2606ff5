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

/// The number of a file, which means nothing any more when this is dropped.
pub(super) struct Token(u64);

impl Token {
    pub(super) fn of(file: &Arc<dyn File>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        FILES.lock().insert(number, Arc::downgrade(file));
        Self(number)
    }

    pub(super) fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        FILES.lock().remove(&self.0);
    }
}

/// The file that `number` names; one of no file is of another file system for all that this side
/// knows.
pub(super) fn file_of(number: u64) -> VfsResult<Arc<dyn File>> {
    let found = FILES.lock().get(&number).and_then(Weak::upgrade);
    found.ok_or(VfsError::CrossDevice)
}
