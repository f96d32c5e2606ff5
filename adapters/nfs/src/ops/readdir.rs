//! READDIR: entries of the current directory, with attributes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.23>
//!
//! Cookies come from the file system and outlive changes of the directory, so that the verifier
//! is always zero. Entries are encoded straight into the reply.

use dittofs_sdk::vfs::{DirEntry, ReadDirLimit};

use crate::attr::{self, Facts, FsFacts, Further};
use crate::compound::{Cx, Operation};
use crate::delegations;
use crate::exports::{Object, PseudoDir, ShareObject};
use crate::status::Status;
use crate::types::{Bitmap, Verifier};
use crate::xdr::{Writer, xdr_struct};

/// Most entries that the file system is asked for at once: what Linux tells in one system call, roughly.
const CHUNK_MAX: usize = 1024;
/// Bytes that an entry with attributes takes, roughly: to guess how many to ask for.
const ENTRY_GUESS: usize = 128;
/// The verifier before the entries; the end of the list and the flag after them.
const FRAME: usize = 8 + TAIL;
const TAIL: usize = 4 + 4;

xdr_struct! {
    /// READDIR4args
    #[derive(Debug)]
    pub struct Args {
        /// Where to resume; 0 starts.
        pub cookie: u64,
        /// The verifier that came with the cookie.
        pub verifier: Verifier,
        /// A hint: most bytes of names and cookies; 0 for no limit.
        pub dir_count: u32,
        /// Most bytes of the whole result body.
        pub max_count: u32,
        /// The attributes that are wanted of each entry.
        pub wanted: Bitmap,
    } => decode
}

impl Operation for Args {
    type Ok = ();
    type Err = Status;

    fn reply_room(&self) -> usize {
        self.max_count as usize
    }

    async fn run(self, cx: &mut Cx) -> Result<(), Status> {
        if !self.wanted.and(attr::write_only(cx.minor())).is_empty() {
            return Err(Status::Inval);
        }
        // 1 and 2 are reserved, so that no such cookie was ever given out.
        if matches!(self.cookie, 1 | 2) {
            return Err(Status::BadCookie);
        }
        if self.cookie != 0 && self.verifier != Verifier::default() {
            return Err(Status::NotSame);
        }
        let mut page = Page::begin(cx, &self)?;
        let eof = match cx.object()?.clone() {
            Object::Pseudo(dir) => self.pseudo(cx, &dir, &mut page).await?,
            Object::Share(dir) => self.share(cx, &dir, &mut page).await?,
        };
        page.finish(cx, eof)
    }
}

impl Args {
    /// Adds entries of a pseudo directory. Returns whether the last one is among them.
    async fn pseudo(&self, cx: &mut Cx, dir: &PseudoDir, page: &mut Page) -> Result<bool, Status> {
        for entry in dir.entries(&cx.call, self.cookie)? {
            let facts = attr::facts(cx, &entry.object, self.wanted).await;
            let added = match facts {
                Ok(facts) => page.add(cx, entry.name.as_bytes(), entry.cookie, |w| {
                    facts.encode(self.wanted, w);
                }),
                // The share's file system fails; the directory need not (RFC 8881 §5.8.1.12).
                Err(status) if self.wanted.contains(attr::RDATTR_ERROR) => {
                    page.add(cx, entry.name.as_bytes(), entry.cookie, |w| {
                        attr::encode_error(status, w);
                    })
                }
                Err(status) => return Err(status),
            };
            if !added {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Adds entries of a directory in a share. Returns whether the last one is among them.
    async fn share(&self, cx: &mut Cx, dir: &ShareObject, page: &mut Page) -> Result<bool, Status> {
        let numbers_only = attr::needs_number_only(self.wanted);
        // Stands for one entry after the other.
        let mut object = Object::Share(dir.clone());
        let fs = attr::fs_facts(cx, &object, self.wanted).await?;
        let mut after = self.cookie;
        loop {
            let limit = ReadDirLimit {
                entries: page.guess(cx),
                attrs: !numbers_only,
            };
            let mut listing = dir
                .share
                .fs
                .read_dir(&dir.cred, &dir.handle, after, limit)
                .await
                .map_err(|error| super::in_dir(error.into()))?;
            for entry in &mut listing.entries {
                match self.ask_delegate(cx, dir, entry).await {
                    Ok(()) => {}
                    // What there is already need not wait for this one.
                    Err(_) if page.entries > 0 => return Ok(false),
                    Err(status) => return Err(status),
                }
                if !self.share_entry(cx, &fs, &mut object, entry, page).await? {
                    return Ok(false);
                }
            }
            match listing.entries.last() {
                Some(last) if !listing.eof && last.cookie != after => after = last.cookie,
                _ => return Ok(listing.eof),
            }
        }
    }

    /// Gives the entry the attributes that its file has at a client which may change it without
    /// telling.
    async fn ask_delegate(
        &self,
        cx: &Cx,
        dir: &ShareObject,
        entry: &mut DirEntry,
    ) -> Result<(), Status> {
        if let Some(node) = &mut entry.node
            && delegations::are_for_writing(cx)
        {
            let object = dir.sibling(node.handle);
            if let Some(writer) = delegations::writer_elsewhere(cx, &object, self.wanted) {
                node.attr = delegations::as_delegate_sees(cx, &object, writer).await?;
            }
        }
        Ok(())
    }

    async fn share_entry(
        &self,
        cx: &mut Cx,
        fs: &FsFacts,
        object: &mut Object,
        entry: &DirEntry,
        page: &mut Page,
    ) -> Result<bool, Status> {
        if attr::needs_number_only(self.wanted) {
            return Ok(page.add(cx, &entry.name, entry.cookie, |w| {
                attr::encode_number(entry.fileid, self.wanted, w);
            }));
        }
        let Some(node) = entry.node else {
            // It vanished while the directory was read.
            return Ok(true);
        };
        if let Object::Share(object) = object {
            object.handle = node.handle;
        }
        let further = if attr::needs_more(self.wanted) {
            match attr::further(object, self.wanted).await {
                Err(Status::Stale) => return Ok(true),
                // One entry fails, not the directory (RFC 8881 §5.8.1.12).
                Err(status) if self.wanted.contains(attr::RDATTR_ERROR) => {
                    return Ok(page.add(cx, &entry.name, entry.cookie, |w| {
                        attr::encode_error(status, w);
                    }));
                }
                further => further?,
            }
        } else {
            Further::default()
        };
        let facts = Facts::of_entry(*fs, object, node.attr, further);
        Ok(page.add(cx, &entry.name, entry.cookie, |w| {
            facts.encode(self.wanted, w);
        }))
    }
}

/// The entries in the reply so far, and the room that is left for more.
struct Page {
    /// Where the result body must end.
    end: usize,
    /// Bytes of names and cookies that may follow.
    dir_count: usize,
    /// Whether the session's limit is what ends the page, not the client's.
    squeezed: bool,
    entries: usize,
}

impl Page {
    fn begin(cx: &mut Cx, args: &Args) -> Result<Self, Status> {
        let max_count = args.max_count as usize;
        if max_count < FRAME {
            return Err(Status::Toosmall);
        }
        let room = cx.reply_room();
        if room < FRAME {
            return Err(cx.too_big());
        }
        let end = cx.reply.position().saturating_add(max_count.min(room));
        cx.reply.write(&Verifier::default());
        Ok(Self {
            end,
            dir_count: match args.dir_count {
                0 => usize::MAX,
                count => count as usize,
            },
            squeezed: room < max_count,
            entries: 0,
        })
    }

    /// How many entries may fit, at least one.
    fn guess(&self, cx: &Cx) -> u32 {
        let room = self.end.saturating_sub(cx.reply.position());
        (room / ENTRY_GUESS).clamp(1, CHUNK_MAX) as u32
    }

    /// Appends an entry, or nothing if it does not fit.
    fn add(
        &mut self,
        cx: &mut Cx,
        name: &[u8],
        cookie: u64,
        attributes: impl FnOnce(&mut Writer),
    ) -> bool {
        let counted = 8 + 4 + name.len().next_multiple_of(4);
        if self.entries > 0 && counted > self.dir_count {
            return false;
        }
        let start = cx.reply.position();
        cx.reply.write(&true);
        cx.reply.write(&cookie);
        cx.reply.opaque(name);
        attributes(&mut cx.reply);
        if cx.reply.position().saturating_add(TAIL) > self.end {
            cx.reply.truncate(start);
            return false;
        }
        self.dir_count = self.dir_count.saturating_sub(counted);
        self.entries += 1;
        true
    }

    fn finish(&self, cx: &mut Cx, eof: bool) -> Result<(), Status> {
        if self.entries == 0 && !eof {
            return Err(if self.squeezed {
                cx.too_big()
            } else {
                Status::Toosmall
            });
        }
        cx.reply.write(&false);
        cx.reply.write(&eof);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ops::fixture::{Fixture, share};
    use crate::types::Minor;
    use crate::xdr::Reader;

    const TYPE: u32 = 1;

    fn args(cookie: u64, max_count: u32, wanted: &[u32]) -> Args {
        Args {
            cookie,
            verifier: Verifier::default(),
            dir_count: 0,
            max_count,
            wanted: Bitmap::of(wanted),
        }
    }

    /// Names, cookies and the values of attributes of one page, and whether it is the last.
    struct Answer {
        entries: Vec<(String, u64, Bytes)>,
        eof: bool,
        size: usize,
    }

    async fn readdir(cx: &mut Cx, args: Args) -> Result<Answer, Status> {
        let start = cx.reply.position();
        args.run(cx).await?;
        let body = Bytes::copy_from_slice(&cx.reply.as_slice()[start..]);
        let size = body.len();
        let mut reader = Reader::new(body);
        assert_eq!(reader.read(), Ok(Verifier::default()));
        let mut entries = Vec::new();
        while reader.read::<bool>().unwrap() {
            let cookie = reader.read().unwrap();
            let name: Bytes = reader.read().unwrap();
            let _: Bitmap = reader.read().unwrap();
            let values = reader.read().unwrap();
            entries.push((String::from_utf8(name.to_vec()).unwrap(), cookie, values));
        }
        let eof = reader.read().unwrap();
        reader.finish().unwrap();
        Ok(Answer { entries, eof, size })
    }

    async fn all(cx: &mut Cx, max_count: u32, wanted: &[u32]) -> Vec<String> {
        let mut names = Vec::new();
        let mut cookie = 0;
        loop {
            let page = readdir(cx, args(cookie, max_count, wanted)).await.unwrap();
            assert!(page.size <= max_count as usize);
            names.extend(page.entries.iter().map(|entry| entry.0.clone()));
            if page.eof {
                return names;
            }
            cookie = page.entries.last().unwrap().1;
            assert!(cookie > 2);
        }
    }

    #[tokio::test]
    async fn pages_of_any_size_give_every_entry_once() {
        let fixture = Fixture::new();
        for i in 0..600 {
            fixture.file("export", &format!("f{i}")).await;
        }
        let mut expected: Vec<_> = (0..600).map(|i| format!("f{i}")).collect();
        expected.sort();
        for (max_count, wanted) in [
            (64, &[][..]),
            (200, &[TYPE, 4, 20]),
            (60_000, &[20]),
            (60_000, &[33]),
        ] {
            let mut cx = fixture.at(Minor::V41, "export").await;
            cx.reply_limit = usize::MAX;
            let mut names = all(&mut cx, max_count, wanted).await;
            names.sort();
            assert_eq!(names, expected);
        }
    }

    #[tokio::test]
    async fn too_small_a_limit_is_told_apart_from_an_empty_directory() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        let small = readdir(&mut cx, args(0, 15, &[])).await.err();
        assert_eq!(small, Some(Status::Toosmall));
        let empty = readdir(&mut cx, args(0, 16, &[])).await.unwrap();
        assert!(empty.entries.is_empty() && empty.eof);
        fixture.file("export", "name").await;
        let one = readdir(&mut cx, args(0, 16, &[])).await.err();
        assert_eq!(one, Some(Status::Toosmall));
        cx.reply_limit = cx.reply.position() + 20;
        let squeezed = readdir(&mut cx, args(0, 1000, &[])).await.err();
        assert_eq!(squeezed, Some(Status::RepTooBig));
    }

    #[tokio::test]
    async fn the_count_of_names_limits_a_page_to_one_entry_at_least() {
        let fixture = Fixture::new();
        for name in ["a", "b", "c"] {
            fixture.file("export", name).await;
        }
        let mut cx = fixture.at(Minor::V40, "export").await;
        for (dir_count, expected) in [(1, 1), (16, 1), (32, 2), (0, 3)] {
            let page = Args {
                dir_count,
                ..args(0, 4096, &[])
            };
            let page = readdir(&mut cx, page).await.unwrap();
            assert_eq!(page.entries.len(), expected, "{dir_count}");
            assert_eq!(page.eof, expected == 3);
        }
    }

    #[tokio::test]
    async fn a_cookie_that_was_never_given_out_is_refused() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "export").await;
        for cookie in [1, 2] {
            let refused = readdir(&mut cx, args(cookie, 4096, &[])).await.err();
            assert_eq!(refused, Some(Status::BadCookie));
        }
        let other = Args {
            verifier: Verifier([1; 8]),
            ..args(5, 4096, &[])
        };
        assert_eq!(readdir(&mut cx, other).await.err(), Some(Status::NotSame));
        let write_only = readdir(&mut cx, args(0, 4096, &[48])).await.err();
        assert_eq!(write_only, Some(Status::Inval));
    }

    #[tokio::test]
    async fn only_a_directory_can_be_read() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for name in ["file", "symlink", "block", "char", "fifo", "socket"] {
            let mut cx = fixture.at(Minor::V41, &format!("export/{name}")).await;
            let refused = readdir(&mut cx, args(0, 4096, &[])).await.err();
            assert_eq!(refused, Some(Status::Notdir), "{name}");
        }
    }

    #[tokio::test]
    async fn a_junction_has_the_attributes_of_the_share_and_the_number_of_the_place() {
        let fixture = Fixture::new();
        let mut cx = fixture.at(Minor::V41, "").await;
        let wanted = [8, attr::FILEID, attr::MOUNTED_ON_FILEID];
        let page = readdir(&mut cx, args(0, 4096, &wanted)).await.unwrap();
        let mut names: Vec<_> = page.entries.iter().map(|entry| entry.0.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["deep", "export", "ro"]);
        for (name, cookie, values) in page.entries {
            let mut cx = fixture.at(Minor::V41, &name).await;
            let object = cx.object().unwrap().clone();
            let facts = attr::facts(&cx, &object, Bitmap::of(&wanted))
                .await
                .unwrap();
            assert_eq!(facts.values(Bitmap::of(&wanted)), values, "{name}");
            assert_eq!(facts.mounted_on, cookie);
            let on_root = matches!(object, Object::Pseudo(_));
            assert_eq!(facts.fs.fsid == (0, 0), on_root);
            assert_eq!(facts.attr.fileid == facts.mounted_on, on_root);
            cx.current = None;
        }
    }

    #[tokio::test]
    async fn cookies_of_the_root_outlive_shares_that_come_and_go() {
        let few = Fixture::with([share("/b"), share("/d")]);
        let many = Fixture::with(["/a", "/b", "/c", "/d"].map(share));
        let mut cx = few.at(Minor::V41, "").await;
        let before = readdir(&mut cx, args(0, 4096, &[])).await.unwrap();
        let mut cx = many.at(Minor::V41, "").await;
        let after = readdir(&mut cx, args(0, 4096, &[])).await.unwrap();
        for entry in before.entries {
            assert!(after.entries.contains(&entry));
            assert!(entry.1 < 1 << 63, "negative as an offset");
        }
    }
}
