//! READDIR: entries of the current directory, with attributes.
//! <https://www.rfc-editor.org/rfc/rfc8881#section-18.23>
//!
//! Cookies come from the file system and outlive changes of the directory, so that the verifier
//! is always zero. Entries are encoded straight into the reply.

use std::sync::Arc;

use dittofs_sdk::vfs::{DirEntry, ReadDirLimit};

use crate::attr::{self, Facts, FsFacts};
use crate::compound::{Cx, Operation};
use crate::exports::{Object, PseudoDir, ShareObject};
use crate::status::Status;
use crate::types::{Bitmap, Verifier};
use crate::xdr::{Writer, xdr_struct};

/// Most entries that the file system is asked for at once.
const CHUNK_MAX: usize = 256;
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
        if !self.wanted.and(attr::write_only()).is_empty() {
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
        let object = Object::Share(dir.clone());
        let fs = Arc::new(attr::fs_facts(cx, &object, self.wanted).await?);
        let mut after = self.cookie;
        loop {
            let limit = ReadDirLimit {
                entries: page.guess(cx),
                attrs: !numbers_only,
            };
            let listing = dir
                .share
                .fs
                .read_dir(&dir.cred, &dir.handle, after, limit)
                .await
                .map_err(|error| super::in_dir(error.into()))?;
            for entry in &listing.entries {
                if !self.share_entry(cx, dir, &fs, entry, page) {
                    return Ok(false);
                }
            }
            match listing.entries.last() {
                Some(last) if !listing.eof && last.cookie != after => after = last.cookie,
                _ => return Ok(listing.eof),
            }
        }
    }

    fn share_entry(
        &self,
        cx: &mut Cx,
        dir: &ShareObject,
        fs: &Arc<FsFacts>,
        entry: &DirEntry,
        page: &mut Page,
    ) -> bool {
        if attr::needs_number_only(self.wanted) {
            return page.add(cx, &entry.name, entry.cookie, |w| {
                attr::encode_number(entry.fileid, self.wanted, w);
            });
        }
        let Some(node) = entry.node else {
            // It vanished while the directory was read.
            return true;
        };
        let object = Object::Share(dir.sibling(node.handle));
        let facts = Facts::new(Arc::clone(fs), object, node.attr, self.wanted, cx);
        page.add(cx, &entry.name, entry.cookie, |w| {
            facts.encode(self.wanted, w);
        })
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
