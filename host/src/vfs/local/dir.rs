//! Directories listed.
//!
//! A cookie is the kernel's own offset (`d_off`) after the entry: a hash on ext4, a count on
//! tmpfs, always of at most 63 bits. 0, 1 and 2 mean something else in NFS (RFC 8881 §18.23.3);
//! where a kernel offset has such a value, the cookie is one of the three largest of 63 bits but
//! one, which no file system was seen to use.
//!
//! Attributes of objects in use are had through their descriptors, at half the cost of a walk by
//! name: the entry tells the object's number, and no other object has it meanwhile. (Not so on a
//! tmpfs with short numbers, which start over after four billions; there the walk is needed.) What is listed
//! is pinned for the next listing, as far as that drives out nothing that is in use. The entries
//! themselves are remembered as long as the directory stays the same ([`names`](super::names)).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use dittofs_sdk::vfs::{
    Attr, Cred, Listed, Listing, Node, ReadDirLimit, VfsError, VfsResult, posix,
};
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};

use super::cache::Object;
use super::core::{Core, reopen, stat, stat_at};
use super::mounts::Covered;
use super::names::{Known, List};
use super::rights::By;
use super::seen::Moment;
use super::{errno, sys};

/// Bytes that the kernel tells entries in. The least takes the longest name, whose entry has 280.
const BUFFER_MIN: usize = 2048;
const BUFFER_MAX: usize = 32 * 1024;
/// Bytes of an entry as the kernel tells it, roughly: 19, the name, a NUL, and as many that they are a multiple of 8.
const DIRENT_GUESS: usize = 32;
/// Most entries that room is made for before they are found.
const ROOM_MAX: usize = 1024;
/// Most entries of one listing; longer ones are continued by the caller.
const MOST: u32 = 16_384;
const RESERVED: u64 = i64::MAX as u64 - 3;

impl Core {
    pub(super) fn read_dir(
        &self,
        cred: &Cred,
        dir: &Object,
        after: u64,
        limit: ReadDirLimit,
    ) -> VfsResult<Listing> {
        let offset = offset(after).ok_or(VfsError::BadCookie)?;
        let look = self.look(cred, dir, limit)?;
        let list = self.names.of(&stat(dir.as_fd())?);
        if let Some(list) = &list
            && let Some(listing) = self.relist(cred, &look, (list, after), Patience::Waits)
        {
            return Ok(listing);
        }
        let open = self.open_dir(cred, dir)?;
        if offset != 0 {
            rustix::fs::seek(&open, SeekFrom::Start(offset)).map_err(|_| VfsError::BadCookie)?;
        }
        let (listing, found) = self.identity.serve(|| self.list(&look, &open))?;
        if let Some(list) = list {
            self.names.extend(&list, after, found, &stat(dir.as_fd())?);
        }
        Ok(listing)
    }

    /// As [`read_dir`](Self::read_dir), if that asks for nothing that is not in memory.
    pub(super) fn read_dir_in_place(
        &self,
        cred: &Cred,
        dir: &Object,
        after: u64,
        limit: ReadDirLimit,
    ) -> Option<Listing> {
        // Elsewhere entries are looked at by name.
        if !self.generic || !self.numbers_are_unique {
            return None;
        }
        let list = self.names.of(&stat(dir.as_fd()).ok()?)?;
        if list.is_empty() {
            return None;
        }
        let look = self.look(cred, dir, limit).ok()?;
        self.relist(cred, &look, (&list, after), Patience::None)
    }

    /// What may be listed of `dir`, where that is not refused already.
    fn look<'a>(&self, cred: &Cred, dir: &'a Object, limit: ReadDirLimit) -> VfsResult<Look<'a>> {
        posix::require_dir(dir.kind)?;
        if limit.entries == 0 {
            return Err(VfsError::TooSmall);
        }
        self.judge(cred, dir, posix::READ)?;
        Ok(Look {
            dir,
            // Names are for all who may read; what they stand for is for those who may search.
            attrs: limit.attrs && self.may(cred, dir, posix::EXEC),
            most: limit.entries.min(MOST) as usize,
            moment: self.bound.moment(),
            covered: self.mounts.covered(),
        })
    }

    fn open_dir(&self, cred: &Cred, dir: &Object) -> VfsResult<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match self.foresee(cred, dir, posix::READ)? {
            By::Server => self.identity.serve(|| self.open_as_server(dir, flags)),
            By::Caller => self.identity.act(cred, || reopen(dir.as_fd(), flags)),
        }
    }

    fn may(&self, cred: &Cred, dir: &Object, want: u32) -> bool {
        let asked = || sys::accessible(dir.as_fd(), want).map_err(errno::vfs);
        self.judge(cred, dir, want).is_ok() && self.permitted(cred, dir, want, asked).is_ok()
    }

    /// Entries of `list` after this cookie; none if it has none, or the caller is to be refused.
    fn relist(
        &self,
        cred: &Cred,
        look: &Look<'_>,
        (list, after): (&List, u64),
        patience: Patience,
    ) -> Option<Listing> {
        let known = list.known();
        let entries = known.after(after)?;
        let (len, most) = (entries.len(), look.most);
        if len == 0 && !known.is_whole() || !self.may(cred, look.dir, posix::READ) {
            return None;
        }
        let mut listed = Listed::with_room_for(most.min(len));
        let relisted = self.identity.serve(|| {
            for (name, entry) in entries.take(most) {
                let fileid = entry.fileid;
                let object = entry.object.upgrade().or_else(|| self.cache.peek(fileid));
                if patience == Patience::None && look.attrs {
                    let is_in_memory = object.is_some() && look.covered.is_clear(name);
                    if !is_in_memory {
                        return Err(VfsError::TryLater);
                    }
                }
                let entry = Entry {
                    name,
                    fileid,
                    cookie: entry.cookie,
                };
                self.tell(look, &entry, object, &mut listed);
            }
            Ok(())
        });
        relisted
            .is_ok()
            .then(|| listed.end(known.is_whole() && len <= most))
    }

    /// Entries as the kernel tells them, and what is to be remembered of them.
    fn list(&self, look: &Look<'_>, open: &OwnedFd) -> VfsResult<(Listing, Known)> {
        // What the kernel tells beyond `most` entries is told again for the next listing. So it is
        // asked several times for a part of them.
        let room = (look.most.saturating_mul(DIRENT_GUESS) / 8).clamp(BUFFER_MIN, BUFFER_MAX);
        let mut buffer = Vec::with_capacity(room);
        let mut raw = RawDir::new(open, buffer.spare_capacity_mut());
        let mut listed = Listed::with_room_for(look.most.min(ROOM_MAX));
        let mut known = Known::default();
        while let Some(entry) = raw.next() {
            let entry = entry.map_err(errno::vfs)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if listed.len() == look.most {
                return Ok((listed.end(false), known));
            }
            let entry = Entry {
                name,
                fileid: entry.ino(),
                cookie: cookie(entry.next_entry_cookie()),
            };
            let object = look.attrs.then(|| self.cache.peek(entry.fileid)).flatten();
            let object = self.tell(look, &entry, object, &mut listed);
            known.push(name, entry.cookie, entry.fileid, object);
        }
        known.end();
        Ok((listed.end(true), known))
    }

    /// Lists an entry, with what it stands for if that is asked for and to be had: `object`, if that number is
    /// in use. Answers with the object that is in use then.
    fn tell(
        &self,
        look: &Look<'_>,
        entry: &Entry<'_>,
        object: Option<Arc<Object>>,
        listed: &mut Listed,
    ) -> Weak<Object> {
        let Entry {
            name,
            fileid,
            cookie,
        } = *entry;
        self.seen(look.dir.fileid, name, fileid);
        if !look.attrs {
            listed.push(name, cookie, fileid, None);
            return Weak::new();
        }
        let is_clear = self.generic && look.covered.is_clear(name);
        if is_clear
            && let Some(object) = object
            && self.tell_known(look, entry, &object, listed).is_some()
        {
            return Arc::downgrade(&object);
        }
        let found = self.entry_node(look.dir, name, fileid, is_clear);
        let node = found.as_ref().map(|(node, _)| node);
        listed.push(name, cookie, fileid, node);
        let object = found.and_then(|(_, object)| object);
        object.map_or_else(Weak::new, |object| Arc::downgrade(&object))
    }

    /// Lists an entry that stands for an object in use, if it still does.
    fn tell_known(
        &self,
        look: &Look<'_>,
        entry: &Entry<'_>,
        object: &Object,
        listed: &mut Listed,
    ) -> Option<()> {
        let Entry {
            name,
            fileid,
            cookie,
        } = *entry;
        let mut tell = |attr: &Attr| {
            // Without a name it was removed just now, and the entry may be of its successor.
            let is_named = attr.nlink > 0;
            is_named.then(|| listed.push_node(name, cookie, fileid, &object.handle, attr))
        };
        if self.numbers_are_unique {
            return self.with_recent_attr(object, look.moment, tell).ok()?;
        }
        let name = CString::new(name).ok()?;
        let found = stat_at(look.dir.as_fd(), &name).ok()?;
        if !object.is(&found) {
            return None;
        }
        tell(&self.attr_of(object, &found).ok()?)
    }

    /// What an entry stands for. If the number differs the name was reused just now, or something
    /// is mounted on it.
    fn entry_node(
        &self,
        dir: &Object,
        name: &[u8],
        fileid: u64,
        may_pin: bool,
    ) -> Option<(Node, Option<Arc<Object>>)> {
        let name = CString::new(name).ok()?;
        let pin = if may_pin && self.cache.has_room(fileid) {
            Some(pin_entry(dir, &name).ok()?)
        } else {
            None
        };
        let (at, name) = match &pin {
            Some(pin) => (pin.as_fd(), c""),
            None => (dir.as_fd(), &*name),
        };
        let handle = self.handles.of(at, name, fileid).ok()?;
        let stat = stat_at(at, name).ok()?;
        if stat.stx_ino != fileid || !self.is_ours(&stat) {
            return None;
        }
        let attr = self.attr_from(&stat).ok()?;
        let object = match pin {
            Some(pin) => {
                let object = Object::new(pin, handle, &stat).ok()?;
                Some(self.cache.keep_listed(object))
            }
            None => None,
        };
        Some((Node { handle, attr }, object))
    }
}

/// An entry as the kernel tells it.
struct Entry<'a> {
    name: &'a [u8],
    fileid: u64,
    cookie: u64,
}

/// Whether a listing may wait for what is not in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    Waits,
}

/// What a listing is to have.
struct Look<'a> {
    dir: &'a Object,
    /// Whether handles and attributes.
    attrs: bool,
    /// Entries.
    most: usize,
    moment: Moment,
    covered: Covered,
}

fn pin_entry(dir: &Object, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn cookie(offset: u64) -> u64 {
    if offset < 3 {
        RESERVED + offset
    } else {
        offset
    }
}

fn offset(cookie: u64) -> Option<u64> {
    match cookie {
        0 => Some(0),
        // The last of these would start over: where a file system gives 0, nothing is resumed.
        1 | 2 | RESERVED => None,
        0x7fff_ffff_ffff_fffd | 0x7fff_ffff_ffff_fffe => Some(cookie - RESERVED),
        _ => i64::try_from(cookie).is_ok().then_some(cookie),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_has_a_cookie_that_leads_back_to_it() {
        for at in [1, 2, 3, 12, 1 << 40, i64::MAX as u64] {
            assert!(cookie(at) >= 3);
            assert_eq!(offset(cookie(at)), Some(at));
        }
        assert_eq!([offset(1), offset(2), offset(1 << 63)], [None, None, None]);
    }
}
