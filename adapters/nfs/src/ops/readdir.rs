//! READDIR: entries of the current directory, with attributes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.23>
//!
//! Cookies come from the file system and outlive changes of the directory, so that the verifier
//! is always zero. Entries are encoded straight into the reply.

use dittofs_sdk::vfs::ReadDirLimit;

use crate::attr::{self, Facts, Form, Further};
use crate::buffers;
use crate::compound::{Cx, Operation};
use crate::delegations;
use crate::exports::{Object, PseudoDir, ShareObject};
use crate::status::Status;
use crate::types::{Bitmap, Verifier};
use crate::xdr::{Writer, xdr_struct};

/// Most entries that the file system is asked for at once: more than a page of 64 KiB takes from
/// Linux, and not so many that the allocator has their memory (288 bytes each) from the kernel.
const CHUNK_MAX: usize = 400;
/// Bytes of a name, roughly: to guess how many entries to ask for. What is read beyond the end of a
/// page is read in vain.
const NAME_GUESS: usize = 20;
/// A page is as good as full when no more than this part of it is free: to read a directory for
/// the sake of a few entries costs more than they do in the next page.
const REST: usize = 16;
/// What `dir_count` counts of an entry beside its name: the cookie and the name's length.
const COUNTED: usize = 8 + 4;
/// Bytes of an entry beside its name and attributes: whether there is one, the cookie, the name's length.
const ENTRY: usize = 4 + COUNTED;
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
        // Stands for one entry after the other.
        let mut object = Object::Share(dir.clone());
        let fs = attr::fs_facts(cx, &object, self.wanted).await?;
        let form = Form::new(self.wanted, cx.minor());
        let of_number = attr::needs_number_only(self.wanted);
        let more = attr::needs_more(self.wanted);
        page.expect(form.size(&fs, &object));
        let mut after = self.cookie;
        while let Some(entries) = page.guess(cx) {
            let limit = ReadDirLimit {
                entries,
                attrs: !of_number,
            };
            let listing = dir
                .share
                .fs
                .read_dir(&dir.cred, &dir.handle, after, limit)
                .await
                .map_err(|error| super::in_dir(error.into()))?;
            // Who got a delegation after its file was looked at has changed nothing before.
            let delegated = delegations::are_for_writing(cx);
            page.make_room(cx, listing.len());
            for entry in listing.iter() {
                let (name, cookie) = (entry.name(), entry.cookie());
                if of_number {
                    let number = |w: &mut _| attr::encode_number(entry.fileid(), self.wanted, w);
                    if !page.add(cx, name, cookie, number) {
                        return Ok(false);
                    }
                    continue;
                }
                if !entry.has_node() {
                    // It vanished while the directory was read.
                    continue;
                }
                let mut attr = entry.attr()?;
                if let Object::Share(object) = &mut object {
                    object.handle = entry.handle()?;
                    if delegated
                        && let Some(writer) = delegations::writer_elsewhere(cx, object, self.wanted)
                    {
                        match delegations::as_delegate_sees(cx, object, writer).await {
                            Ok(told) => attr = told,
                            // What there is already need not wait for this one.
                            Err(_) if page.entries > 0 => return Ok(false),
                            Err(status) => return Err(status),
                        }
                    }
                }
                let further = if more {
                    // What few ask for must not make every READDIR larger: it is boxed.
                    Box::pin(attr::further(&object, self.wanted)).await
                } else {
                    Ok(Further::default())
                };
                let further = match further {
                    Ok(further) => further,
                    Err(Status::Stale) => continue,
                    // One entry fails, not the directory (RFC 8881 §5.8.1.12).
                    Err(status) if self.wanted.contains(attr::RDATTR_ERROR) => {
                        if !page.add(cx, name, cookie, |w| attr::encode_error(status, w)) {
                            return Ok(false);
                        }
                        continue;
                    }
                    Err(status) => return Err(status),
                };
                let facts = Facts::of_entry(&fs, &object, attr, further);
                if !page.add(cx, name, cookie, |w| form.encode(&facts, w)) {
                    return Ok(false);
                }
            }
            match listing.last_cookie() {
                Some(last) if !listing.eof() && last != after => after = last,
                _ => return Ok(listing.eof()),
            }
        }
        Ok(false)
    }
}

/// The entries in the reply so far, and the room that is left for more.
struct Page {
    /// Where the first entry begins.
    start: usize,
    /// Where the result body must end.
    end: usize,
    /// Bytes that an entry takes beside its name, roughly.
    expected: usize,
    /// Bytes of names and cookies that may follow.
    dir_count: usize,
    /// Bytes of names and cookies so far.
    counted: usize,
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
            start: cx.reply.position(),
            end,
            expected: ENTRY,
            dir_count: match args.dir_count {
                0 => usize::MAX,
                count => count as usize,
            },
            counted: 0,
            squeezed: room < max_count,
            entries: 0,
        })
    }

    /// Takes note of how many bytes the attributes of an entry take.
    fn expect(&mut self, attributes: usize) {
        self.expected = ENTRY + attributes;
    }

    /// How many more entries to ask for, by what those so far took; none if the page is full.
    fn guess(&self, cx: &Cx) -> Option<u32> {
        let room = self.end.saturating_sub(cx.reply.position() + TAIL);
        let fitting = match self.entries {
            0 => {
                let each = self.expected + NAME_GUESS;
                let counted = COUNTED + NAME_GUESS;
                (room / each).min(self.dir_count / counted).max(1)
            }
            entries => {
                if room < self.end.saturating_sub(self.start) / REST {
                    return None;
                }
                let taken = cx.reply.position().saturating_sub(self.start).max(1);
                let counted = self.counted.max(1);
                (room * entries / taken).min(self.dir_count.saturating_mul(entries) / counted)
            }
        };
        (fitting > 0).then_some(fitting.min(CHUNK_MAX) as u32)
    }

    /// Makes room in the reply for as many entries, for all of the page if they take most of it: in
    /// memory that was in use before, if it is much.
    fn make_room(&self, cx: &mut Cx, entries: usize) {
        let before = cx.reply.take_buffer();
        let rest = self.end.saturating_sub(before.len());
        let more = entries.saturating_mul(self.expected + NAME_GUESS);
        let needed = before.len() + if more > rest / 2 { rest } else { more };
        if before.capacity() >= needed || before.len() > more {
            cx.reply.restore(before);
            return;
        }
        let mut larger = buffers::reply(needed);
        larger.extend_from_slice(&before);
        buffers::give_back_reply(before);
        cx.reply.restore(larger);
    }

    /// Appends an entry, or nothing if it does not fit.
    fn add(
        &mut self,
        cx: &mut Cx,
        name: &[u8],
        cookie: u64,
        attributes: impl FnOnce(&mut Writer),
    ) -> bool {
        let counted = COUNTED + name.len().next_multiple_of(4);
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
        self.counted += counted;
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
    async fn what_is_asked_for_fits_and_fills_the_page() {
        const ATTRIBUTES: usize = 148;
        let fixture = Fixture::new();
        for (name, max_count, dir_count) in [
            (1, 65_536, 0),
            (8, 65_536, 0),
            (28, 65_536, 65_536),
            (255, 65_536, 0),
            (16, 1 << 20, 0),
            (16, 1 << 20, 8192),
            (28, 4096, 0),
        ] {
            let args = Args {
                dir_count,
                ..args(0, max_count, &[])
            };
            let mut cx = fixture.at(Minor::V41, "export").await;
            cx.reply_limit = usize::MAX;
            let mut page = Page::begin(&mut cx, &args).unwrap();
            page.expect(ATTRIBUTES);
            let (mut asked, mut calls) = (0, 0);
            while let Some(entries) = page.guess(&cx) {
                page.make_room(&mut cx, entries as usize);
                let name = vec![b'n'; name];
                let attributes = |w: &mut Writer| w.raw(&[7; ATTRIBUTES]);
                let mut add = || page.add(&mut cx, &name, 3, attributes);
                if !(0..entries).all(|_| add()) {
                    asked += entries as usize;
                    break;
                }
                asked += entries as usize;
                calls += 1;
            }
            let each = ENTRY + name.next_multiple_of(4) + ATTRIBUTES;
            let counted = COUNTED + name.next_multiple_of(4);
            let most = (max_count as usize / each).min(match dir_count {
                0 => usize::MAX,
                count => count as usize / counted,
            });
            let (got, case) = (page.entries, (name, max_count, dir_count));
            assert!(
                got * 10 >= most * 9 && got <= most,
                "{case:?}: {got} of {most}"
            );
            // Nobody knows beforehand that all names are the longest.
            if name < 100 {
                assert!(asked * 10 <= got * 11, "{case:?}: {asked} for {got}");
            }
            assert!(calls <= 2 + got / CHUNK_MAX, "{case:?}: {calls}");
        }
    }

    #[tokio::test]
    async fn an_entry_has_the_attributes_that_getattr_gives() {
        let fixture = Fixture::new();
        fixture.populate().await;
        for minor in [Minor::V40, Minor::V41, Minor::V42] {
            let wanted = attr::readable(minor);
            let numbers: Vec<u32> = wanted.iter().collect();
            let mut cx = fixture.at(minor, "export").await;
            cx.reply_limit = usize::MAX;
            let page = readdir(&mut cx, args(0, 1 << 20, &numbers)).await.unwrap();
            assert!(page.entries.len() >= 7);
            for (name, _, values) in page.entries {
                let cx = fixture.at(minor, &format!("export/{name}")).await;
                let object = cx.object().unwrap().clone();
                let facts = attr::facts(&cx, &object, wanted).await.unwrap();
                assert_eq!(facts.values(wanted), values, "{name}");
            }
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
