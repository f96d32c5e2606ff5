//! What is asked of the server: the files that it takes, and the script of each slot.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::check::{Check, Close, Listing, Shape};
use crate::client::{ATTRIBUTES, CACHE_CONSISTENCY, Client, How, Open};
use crate::lane::Lane;
use crate::message::Message;
use crate::pattern::{HEAD, Pattern};
use crate::script::{Blocks, Slot, Step, Vary};

const KIB_4: usize = 4 << 10;
const MIB: usize = 1 << 20;
/// Entries of the directory that is searched and listed.
const ENTRIES: u32 = 1000;
/// Blocks of 4 KiB that a slot has for itself.
const SMALL_BLOCKS: u64 = 16;
/// Blocks of 1 MiB that a client has, so that all stays in the cache.
const LARGE_BLOCKS: u64 = 4;
/// What the client offers for one page of a listing.
const PAGE: u32 = 64 << 10;

const UNSTABLE: u32 = 0;
const FILE_SYNC: u32 = 2;

/// What one operation is. Besides SEQUENCE (4.1) and PUTFH each COMPOUND has what the Linux client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// GETATTR of a file.
    Getattr,
    /// LOOKUP, GETFH, GETATTR of one of 1,000 entries of a directory.
    Lookup,
    /// ACCESS, GETATTR.
    Access,
    /// READ of 4 KiB, of which all is compared.
    Read4k,
    /// WRITE of 4 KiB UNSTABLE, GETATTR.
    Write4k,
    /// WRITE of 4 KiB FILE_SYNC, GETATTR.
    Sync4k,
    /// OPEN (with GETFH, ACCESS, GETATTR) of a file that is there, then CLOSE.
    OpenClose,
    /// OPEN that creates, CLOSE, REMOVE.
    CreateRemove,
    /// READDIR of 1,000 entries with attributes, in pages of at most 64 KiB.
    Readdir,
    /// READ of 1 MiB, of which samples are compared.
    Read1m,
    /// WRITE of 1 MiB UNSTABLE, GETATTR.
    Write1m,
    /// Of 20: 8 GETATTR, 3 LOOKUP, 2 ACCESS, 4 READ and 2 WRITE of 4 KiB, 1 OPEN with CLOSE.
    Mixed,
    /// SEQUENCE and PUTFH alone (4.0: PUTFH): what a COMPOUND costs before it does anything.
    Putfh,
}

impl Workload {
    /// Its name, as on the command line.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Bytes of its request and its reply in 4.1, record marks included, for an echo; none where operations have
    /// several or of different lengths.
    pub fn messages(self) -> Option<(usize, usize)> {
        match self {
            Self::Getattr => Some((192, 244)),
            Self::Lookup => Some((232, 316)),
            Self::Access => Some((200, 260)),
            Self::Putfh => Some((176, 92)),
            Self::Read4k => Some((208, 108 + KIB_4)),
            Self::Read1m => Some((208, 108 + MIB)),
            Self::Write4k | Self::Sync4k => Some((228 + KIB_4, 188)),
            Self::Write1m => Some((228 + MIB, 188)),
            Self::OpenClose | Self::CreateRemove | Self::Readdir | Self::Mixed => None,
        }
    }
}

/// A client that is ready to send.
pub struct Ready {
    client: Client,
    written: Option<(Open, Pattern)>,
}

/// Where and as whom to load.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// The server.
    pub address: SocketAddr,
    /// Minor version.
    pub minor: u32,
    /// The share, as its name below the root.
    pub share: &'a str,
}

impl Target<'_> {
    /// Makes client number `index` ready to load the server in `slots` slots. What it needs of files is made if it is
    /// not there.
    pub fn prepare(
        &self,
        workload: Workload,
        index: u32,
        slots: u32,
        group: usize,
    ) -> Result<(Ready, Lane)> {
        let name = format!("load-{}-{group}-{index}", std::process::id());
        let mut maker = Maker::new(
            Client::connect(self.address, self.minor, &name, slots)?,
            format!("{index}"),
        );
        maker.directories(self.share, workload)?;
        let slots = (0..slots)
            .map(|slot| maker.slot(workload, slot))
            .collect::<Result<Vec<_>>>()
            .with_context(|| workload.name())?;
        maker.ready(group, slots)
    }

    /// A client that asks for the attributes of these files, each slot for its part of them in turn.
    pub fn attributes_of(&self, paths: &[[String; 3]], slots: u32) -> Result<(Ready, Lane)> {
        let name = format!("load-{}-across", std::process::id());
        let client = Client::connect(self.address, self.minor, &name, slots)?;
        let mut maker = Maker::new(client, String::new());
        let mut steps: Vec<Vec<Step>> = (0..slots).map(|_| Vec::new()).collect();
        for (path, slot) in paths.iter().zip((0..slots).cycle()) {
            let [top, directory, file] = path;
            let handle = maker.client.walk(&[self.share, top, directory, file])?;
            let mut draft = maker.on(slot, &handle);
            getattr(&mut draft.call, ATTRIBUTES);
            if let Some(steps) = steps.get_mut(slot as usize) {
                steps.push(maker.step(draft));
            }
        }
        let slots = (0..).zip(steps);
        let slots = slots.map(|(index, steps)| Slot::new(steps, 0, index, 0));
        let slots = slots.collect();
        maker.ready(0, slots)
    }
}

impl Ready {
    /// Reads back what was written and says goodbye.
    pub fn finish(mut self, lane: &Lane) -> Result<()> {
        if let Some((file, pattern)) = &self.written {
            for (offset, numbers) in last_writes(lane) {
                let block = self.client.read(file, offset, pattern.size() as u32)?;
                let number = pattern
                    .check_wholly(&block, offset)
                    .context("reading back what was written")?;
                ensure!(
                    numbers.contains(&number),
                    "the last write at {offset} is lost: {number:#x} is there, not one of {numbers:x?}"
                );
            }
        }
        self.client.leave()
    }
}

/// For each offset the numbers of the last writes of those slots that wrote there, one of which was the last of all.
fn last_writes(lane: &Lane) -> std::collections::BTreeMap<u64, Vec<u64>> {
    let mut last: std::collections::BTreeMap<u64, Vec<u64>> = std::collections::BTreeMap::new();
    for (offset, number) in lane.slots().iter().flat_map(Slot::written) {
        last.entry(offset).or_default().push(number);
    }
    last
}

/// Makes the scripts of one client.
struct Maker {
    client: Client,
    name: String,
    directory: Vec<u8>,
    /// The directory with many entries.
    crowd: Vec<u8>,
    files: Vec<(String, Open)>,
    written: Option<(Open, Pattern)>,
}

/// A COMPOUND that is being written, and what is known of it.
struct Draft {
    call: Message,
    number_at: Option<usize>,
}

impl Maker {
    fn new(client: Client, name: String) -> Self {
        Self {
            client,
            name,
            directory: Vec::new(),
            crowd: Vec::new(),
            files: Vec::new(),
            written: None,
        }
    }

    fn ready(self, group: usize, slots: Vec<Slot>) -> Result<(Ready, Lane)> {
        let lane = Lane::new(self.client.stream().try_clone()?, group, slots);
        let ready = Ready {
            client: self.client,
            written: self.written,
        };
        Ok((ready, lane))
    }

    fn directories(&mut self, share: &str, workload: Workload) -> Result<()> {
        let root = self.client.walk(&[share])?;
        let top = self.client.directory(&root, "load")?;
        self.directory = self.client.directory(&top, &self.name)?;
        if matches!(
            workload,
            Workload::Lookup | Workload::Readdir | Workload::Mixed
        ) {
            self.crowd = self.client.directory(&top, "crowd")?;
            self.crowd_in()?;
        }
        Ok(())
    }

    /// Fills the directory unless its last entry is there.
    fn crowd_in(&mut self) -> Result<()> {
        let last = entry(ENTRIES - 1);
        let crowd = self.crowd.clone();
        let found = self.client.run(|call| {
            call.op(22).opaque(&crowd).op(15).opaque(last.as_bytes());
        });
        if found.is_ok() {
            return Ok(());
        }
        let owner = self.client.slots();
        for index in 0..ENTRIES {
            let open = self
                .client
                .open(&crowd, &entry(index), How::Create, owner)?;
            self.client.close(&open, owner)?;
        }
        Ok(())
    }

    fn slot(&mut self, workload: Workload, slot: u32) -> Result<Slot> {
        let mut steps = Vec::new();
        self.add(workload, slot, &mut steps)?;
        // Slots of a mixture begin at different places.
        let begin = if workload == Workload::Mixed {
            slot as usize * 7 % MIXTURE.len()
        } else {
            0
        };
        let number = self.client.owner_number(slot);
        Ok(Slot::new(steps, begin, slot, number))
    }

    fn add(&mut self, workload: Workload, slot: u32, steps: &mut Vec<Step>) -> Result<()> {
        match workload {
            Workload::Getattr => {
                let mut draft = self.on_file(slot)?;
                getattr(&mut draft.call, ATTRIBUTES);
                steps.push(self.step(draft));
            }
            Workload::Putfh => {
                let draft = self.on_file(slot)?;
                steps.push(self.step(draft));
            }
            Workload::Access => {
                let mut draft = self.on_file(slot)?;
                draft.call.op(3).word(0x1f);
                getattr(&mut draft.call, ATTRIBUTES);
                steps.push(self.step(draft));
            }
            Workload::Lookup => steps.push(self.lookup(slot)),
            Workload::Read4k => steps.push(self.read(slot, KIB_4)?),
            Workload::Read1m => steps.push(self.read(slot, MIB)?),
            Workload::Write4k => steps.push(self.write(slot, KIB_4, UNSTABLE)?),
            Workload::Sync4k => steps.push(self.write(slot, KIB_4, FILE_SYNC)?),
            Workload::Write1m => steps.push(self.write(slot, MIB, UNSTABLE)?),
            Workload::OpenClose => self.open_close(slot, steps)?,
            Workload::CreateRemove => self.create_remove(slot, steps)?,
            Workload::Readdir => steps.push(self.readdir(slot)),
            Workload::Mixed => {
                for part in MIXTURE {
                    self.add(*part, slot, steps)?;
                }
            }
        }
        Ok(())
    }

    fn lookup(&mut self, slot: u32) -> Step {
        let mut draft = self.on(slot, &self.crowd);
        let name = entry(0);
        draft.call.op(15).opaque(name.as_bytes());
        // The digits end the name; its length is a multiple of four.
        let at = draft.call.here() - 4;
        draft.call.op(10);
        getattr(&mut draft.call, ATTRIBUTES);
        let mut step = self.step(draft);
        step.vary = Vary::Digits { at, names: ENTRIES };
        step
    }

    fn read(&mut self, slot: u32, size: usize) -> Result<Step> {
        let blocks = blocks(slot, size);
        let pattern = Pattern::new(size);
        let open = self.filled(&pattern)?;
        let mut draft = self.on(slot, &open.handle);
        draft.call.op(25).fixed(&open.state);
        let at = draft.call.here();
        draft.call.long(0).word(size as u32);
        let shape = self.shape(&draft);
        let mut step = self.step(draft);
        step.vary = Vary::Offset { at, blocks };
        step.check = Check::Read(shape, pattern);
        Ok(step)
    }

    fn write(&mut self, slot: u32, size: usize, stable: u32) -> Result<Step> {
        let blocks = blocks(slot, size);
        let pattern = Pattern::new(size);
        let open = self.opened("written", How::Truncate)?;
        self.written = Some((open.clone(), pattern.clone()));
        let mut draft = self.on(slot, &open.handle);
        draft.call.op(38).fixed(&open.state);
        let at = draft.call.here();
        draft.call.long(0).words(&[stable, size as u32]);
        draft.call.fixed(&[0; HEAD]);
        let cut = draft.call.here();
        getattr(&mut draft.call, CACHE_CONSISTENCY);
        let shape = self.shape(&draft);
        let number_at = draft.number_at;
        let tail = pattern.tail().clone();
        let mut head = draft.call.finish(tail.len());
        let foot = head.split_off(cut);
        Ok(Step {
            head,
            tail: Some(tail),
            foot,
            number_at,
            owner_number_at: None,
            vary: Vary::Write {
                at,
                blocks,
                slot: u64::from(slot) + 1,
            },
            check: Check::Write(shape, size as u32, stable),
            completes: true,
        })
    }

    fn open_close(&mut self, slot: u32, steps: &mut Vec<Step>) -> Result<()> {
        let name = format!("open-{slot:04}");
        // Leaves the file, its handle, and an owner that is known.
        let open = self.known(&name, slot)?;
        let directory = self.directory.clone();
        let (mut opening, owner_at) = self.open(slot, &directory, &name, How::Read);
        let (closing, state_at, _) = self.close(slot, &open.handle);
        opening.owner_number_at = owner_at;
        opening.completes = false;
        let Check::Status(shape) = opening.check else {
            return Ok(());
        };
        opening.check = Check::Open(
            shape,
            Close {
                step: steps.len() + 1,
                state_at,
                handle_at: None,
            },
        );
        steps.extend([opening, closing]);
        Ok(())
    }

    fn create_remove(&mut self, slot: u32, steps: &mut Vec<Step>) -> Result<()> {
        let name = format!("new-{slot:04}");
        let open = self.known(&name, slot)?;
        let directory = self.directory.clone();
        let remove = |call: &mut Message| {
            call.op(28).opaque(name.as_bytes());
        };
        self.client.run(|call| {
            call.op(22).opaque(&directory);
            remove(call);
        })?;
        let (mut opening, owner_at) = self.open(slot, &directory, &name, How::Create);
        opening.owner_number_at = owner_at;
        opening.completes = false;
        let (mut closing, state_at, handle_at) = self.close(slot, &open.handle);
        closing.completes = false;
        let Check::Status(shape) = opening.check else {
            return Ok(());
        };
        opening.check = Check::Open(
            shape,
            Close {
                step: steps.len() + 1,
                state_at,
                handle_at: Some((handle_at, open.handle.len())),
            },
        );
        let mut removing = self.on(slot, &directory);
        remove(&mut removing.call);
        let removing = self.step(removing);
        steps.extend([opening, closing, removing]);
        Ok(())
    }

    fn readdir(&mut self, slot: u32) -> Step {
        let mut draft = self.on(slot, &self.crowd);
        draft.call.op(26);
        let cookie_at = draft.call.here();
        draft.call.long(0).long(0).words(&[PAGE, PAGE]);
        draft.call.words(&[2, ATTRIBUTES[0], ATTRIBUTES[1]]);
        let shape = self.shape(&draft);
        let mut step = self.step(draft);
        step.check = Check::Readdir(
            shape,
            Listing {
                cookie_at,
                entries: ENTRIES as usize,
                seen: 0,
            },
        );
        step
    }

    fn open(&self, slot: u32, directory: &[u8], name: &str, how: How) -> (Step, Option<usize>) {
        let mut draft = self.on(slot, directory);
        let at = self
            .client
            .write_open(&mut draft.call, name, how, (slot, 0));
        draft.call.op(10).op(3).word(0x1f);
        getattr(&mut draft.call, ATTRIBUTES);
        let owner_at = (self.client.minor() == 0).then_some(at);
        (self.step(draft), owner_at)
    }

    /// The step, and where it has stateid and handle.
    fn close(&self, slot: u32, handle: &[u8]) -> (Step, usize, usize) {
        let mut draft = self.on(slot, handle);
        let handle_at = draft.call.here() - handle.len().next_multiple_of(4);
        draft.call.op(4);
        let owner_at = draft.call.here();
        draft.call.word(0);
        let state_at = draft.call.here();
        draft.call.fixed(&[0; 16]);
        let mut step = self.step(draft);
        step.owner_number_at = (self.client.minor() == 0).then_some(owner_at);
        (step, state_at, handle_at)
    }

    /// A file that was opened and closed by the slot's owner, who has another open: else the server may forget it.
    fn known(&mut self, name: &str, slot: u32) -> Result<Open> {
        let directory = self.directory.clone();
        if self.client.minor() == 0 {
            let held = format!("held-{slot:04}");
            self.client.open(&directory, &held, How::Create, slot)?;
        }
        let open = self.client.open(&directory, name, How::Create, slot)?;
        self.client.close(&open, slot)?;
        Ok(open)
    }

    /// The client's file, with data.
    fn filled(&mut self, pattern: &Pattern) -> Result<Open> {
        let size = pattern.size() as u64;
        let open = self.opened(&format!("data-{size}"), How::Create)?;
        let blocks = if pattern.size() == MIB {
            LARGE_BLOCKS
        } else {
            SMALL_BLOCKS * u64::from(self.client.slots())
        };
        let last = (blocks - 1) * size;
        let end = self.client.read(&open, last, size as u32)?;
        if pattern.check_wholly(&end, last).is_ok() {
            return Ok(open);
        }
        for offset in (0..blocks).map(|block| block * size) {
            let head = Pattern::head(offset, 0);
            self.client.write(&open, offset, &[&head, pattern.tail()])?;
        }
        Ok(open)
    }

    /// One of the client's files, opened the first time.
    fn opened(&mut self, name: &str, how: How) -> Result<Open> {
        let mut files = self.files.iter();
        if let Some((_, open)) = files.find(|(found, _)| found == name) {
            return Ok(open.clone());
        }
        let (directory, owner) = (self.directory.clone(), self.client.slots());
        let open = self.client.open(&directory, name, how, owner)?;
        self.files.push((name.to_owned(), open.clone()));
        Ok(open)
    }

    fn on_file(&mut self, slot: u32) -> Result<Draft> {
        let open = self.filled(&Pattern::new(KIB_4))?;
        Ok(self.on(slot, &open.handle))
    }

    fn on(&self, slot: u32, handle: &[u8]) -> Draft {
        let (mut call, number_at) = self.client.start(slot);
        call.op(22).opaque(handle);
        Draft { call, number_at }
    }

    fn shape(&self, draft: &Draft) -> Shape {
        Shape {
            session: self.client.minor() > 0,
            operations: draft.call.operations(),
        }
    }

    fn step(&self, draft: Draft) -> Step {
        let shape = self.shape(&draft);
        Step {
            number_at: draft.number_at,
            head: draft.call.finish(0),
            tail: None,
            foot: Vec::new(),
            owner_number_at: None,
            vary: Vary::Nothing,
            check: Check::Status(shape),
            completes: true,
        }
    }
}

const MIXTURE: &[Workload] = {
    use Workload::{Access, Getattr, Lookup, OpenClose, Read4k, Write4k};
    &[
        Getattr, Lookup, Read4k, Getattr, Access, Write4k, Getattr, Read4k, Getattr, Lookup,
        Getattr, Read4k, Getattr, Access, Getattr, Write4k, Lookup, Read4k, Getattr, OpenClose,
    ]
};

fn getattr(call: &mut Message, [low, high]: [u32; 2]) {
    call.op(9).words(&[2, low, high]);
}

fn entry(index: u32) -> String {
    format!("entry-of-many-by-number-{index:04}")
}

fn blocks(slot: u32, size: usize) -> Blocks {
    let slot = u64::from(slot);
    let (first, count) = if size == MIB {
        (slot % LARGE_BLOCKS, 1)
    } else {
        (slot * SMALL_BLOCKS, SMALL_BLOCKS)
    };
    Blocks {
        first,
        count,
        size: size as u64,
    }
}
