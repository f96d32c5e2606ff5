//! Names that something is mounted on, and how.
//!
//! Who goes by an entry's number instead of its name finds what lies under a mount. So the names
//! of all mount points of this process are kept, and read anew when the kernel says that the
//! mounts have changed. Where it can't be asked, every name may be one.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec};

/// The kernel's table of mounts.
pub(super) struct Mounts {
    table: Option<File>,
    covered: Mutex<Option<Covered>>,
}

/// Last components of mount points; none if they are not known.
#[derive(Clone, Default)]
pub(super) struct Covered(Option<Arc<Names>>);

/// Most names are told apart from all of these by their lengths.
struct Names {
    lengths: [bool; 256],
    names: HashSet<Vec<u8>>,
}

impl Covered {
    fn of(names: HashSet<Vec<u8>>) -> Self {
        let mut lengths = [false; 256];
        for name in &names {
            if let Some(length) = lengths.get_mut(name.len()) {
                *length = true;
            }
        }
        Self(Some(Arc::new(Names { lengths, names })))
    }

    /// Whether nothing is mounted on an entry of this name, in whatever directory.
    pub(super) fn is_clear(&self, name: &[u8]) -> bool {
        let Self(Some(covered)) = self else {
            return false;
        };
        covered.lengths.get(name.len()) == Some(&false) || !covered.names.contains(name)
    }
}

impl Mounts {
    pub(super) fn new() -> Self {
        Self {
            table: File::open("/proc/self/mountinfo").ok(),
            covered: Mutex::default(),
        }
    }

    /// What is covered now.
    pub(super) fn covered(&self) -> Covered {
        let Some(table) = &self.table else {
            return Covered::default();
        };
        let mut covered = self.covered.lock();
        // Asked before the table is read: a change in between is seen the next time.
        match (has_changed(table), &*covered) {
            (Some(false), Some(covered)) => covered.clone(),
            (None, _) => Covered::default(),
            _ => covered.insert(read(table)).clone(),
        }
    }
}

/// Whether the mount of this number has this option of its file system.
pub(super) fn has_option(mount: u64, option: &str) -> bool {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().any(|line| {
        let number = line.split(' ').next().and_then(|word| word.parse().ok());
        let options = line.rsplit(' ').next().unwrap_or_default();
        number == Some(mount) && options.split(',').any(|one| one == option)
    })
}

/// Whether the mounts have changed since this was asked last.
fn has_changed(table: &File) -> Option<bool> {
    let mut ready = [PollFd::new(table, PollFlags::PRI)];
    let now = Timespec::default();
    rustix::event::poll(&mut ready, Some(&now)).ok()?;
    let [ready] = &ready;
    Some(ready.revents().intersects(PollFlags::PRI | PollFlags::ERR))
}

fn read(table: &File) -> Covered {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        match table.read_at(&mut piece, text.len() as u64) {
            Ok(0) => return Covered::of(names(&text)),
            Ok(got) => text.extend(piece.get(..got).unwrap_or_default()),
            Err(_) => return Covered::default(),
        }
    }
}

/// The fifth word of each line is the mount point.
fn names(table: &[u8]) -> HashSet<Vec<u8>> {
    let lines = table.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    let last = points.filter_map(|point| point.rsplit(|byte| *byte == b'/').next());
    last.map(unescape).collect()
}

/// Space, tab, line feed and backslash are three octal digits after a backslash.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk::<3>().filter(|_| *first == b'\\');
        let value = digits.and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        plain.push(value.unwrap_or(*first));
        let used = if value.is_some() { 3 } else { 0 };
        rest = after.get(used..).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_mount_points_are_covered() {
        let table = b"21 1 0:20 / / rw - ext4 /dev/a rw\n\
            22 21 0:21 / /mnt/a\\040b\\134 rw,noexec shared:1 - tmpfs none rw\n";
        let names = names(table);
        let expected: [&[u8]; 2] = [b"", b"a b\\"];
        assert_eq!(names, expected.iter().map(|name| name.to_vec()).collect());
    }

    #[test]
    fn the_kernels_table_is_read_once() {
        let mounts = Mounts::new();
        let first = mounts.covered();
        assert!(
            !first.is_clear(b"proc"),
            "the process file system is mounted"
        );
        assert!(first.is_clear(b"no mount point has this name"));
        let again = mounts.covered();
        assert!(again.0.is_some());
    }
}
