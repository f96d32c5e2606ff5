//! What grows with the number of connections, opens, locks, entries and files; and what of it stays.
//!
//! Each measure compares the server's CPU time per operation in the small case with that in the large one, in the same
//! process. Memory is what the server's resident set grew by.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use dittofs_load::client::{Client, How, Open};
use dittofs_load::engine::Run;
use dittofs_load::report::Figures;
use dittofs_load::usage::{Usage, resident};
use dittofs_load::workload::{Target, Workload};

use crate::server::{SHARE, Server};

/// Of one measure.
pub struct Growth {
    /// What grew.
    pub what: String,
    /// Server CPU time per operation, in microseconds: small case and large one.
    pub cpu: Option<(f64, f64)>,
    /// Resident bytes that each of them takes.
    pub bytes: Option<f64>,
}

/// How much is made.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Connections, each with a session.
    pub connections: u32,
    /// Files that one client has open.
    pub opens: u32,
    /// Locks of one owner on one file.
    pub locks: u32,
    /// Entries of one directory.
    pub entries: u32,
    /// Files of a tree, 1,000 per directory.
    pub files: u32,
}

/// A server and how long each of its measurements takes.
pub struct Scale<'a> {
    server: &'a Server,
    export: &'a Path,
    seconds: f64,
}

impl<'a> Scale<'a> {
    /// Of a server that speaks NFS.
    pub fn new(server: &'a Server, seconds: f64) -> Result<Self> {
        Ok(Self {
            server,
            export: server.export.as_deref().context("an echo keeps nothing")?,
            seconds,
        })
    }

    /// GETATTR by 16 clients against GETATTR by all; memory of those that are idle.
    pub fn connections(&self, count: u32) -> Result<Growth> {
        let small = self.cpu(Workload::Getattr, 16, 1)?;
        let before = resident(self.server.id)?;
        let idle = (0..count).map(|index| self.client(&format!("idle-{index}")));
        let idle = idle.collect::<Result<Vec<_>>>()?;
        let bytes = self.grown(before, count)?;
        idle.into_iter().try_for_each(Client::leave)?;
        let large = self.cpu(Workload::Getattr, count, 1)?;
        Ok(Growth {
            what: format!("{count} connections, GETATTR"),
            cpu: Some((small, large)),
            bytes: Some(bytes),
        })
    }

    /// OPEN and CLOSE beside opens of others; and READ through few opens in turn, and through many.
    pub fn opens(&self, count: u32) -> Result<[Growth; 2]> {
        const FEW: usize = 1000;
        let small = self.cpu(Workload::OpenClose, 1, 16)?;
        let (names, directory) = self.files("opens", count)?;
        let mut holder = self.client("holder")?;
        let handle = holder.walk(&[SHARE, &directory])?;
        // The server is to know the files already, so that what it grows by is the opens' own.
        for name in &names {
            holder.lookup(&handle, name)?;
        }
        let before = resident(self.server.id)?;
        let opens = names.iter();
        let opens = opens.map(|name| holder.open(&handle, name, How::Read, 0));
        let opens = opens.collect::<Result<Vec<_>>>()?;
        let bytes = self.grown(before, count)?;
        let few = opens.get(opens.len().saturating_sub(FEW)..);
        let read_few = self.reading(&mut holder, few.unwrap_or(&opens))?;
        let read_many = self.reading(&mut holder, &opens)?;
        let large = self.cpu(Workload::OpenClose, 1, 16)?;
        holder.leave()?;
        let growth = |what, cpu, bytes| Growth {
            what: format!("{count} opens, {what}"),
            cpu: Some(cpu),
            bytes,
        };
        Ok([
            growth("OPEN + CLOSE", (small, large), Some(bytes)),
            growth(
                "READ through 1,000 of them, through all in turn, one at a time",
                (read_few, read_many),
                None,
            ),
        ])
    }

    fn reading(&self, holder: &mut Client, opens: &[Open]) -> Result<f64> {
        const READS: usize = 20_000;
        let step = (opens.len() / READS).max(1);
        let before = Usage::of(self.server.id)?;
        let turns = opens.iter().step_by(step).cycle().take(READS);
        for open in turns {
            holder.read(open, 0, 1)?;
        }
        let used = Usage::of(self.server.id)?.since(&before);
        Ok(used.cpu.as_secs_f64() * 1e6 / READS as f64)
    }

    /// LOCK and LOCKU of one byte on a file with few locks, and with many.
    pub fn locks(&self, count: u32) -> Result<Growth> {
        let mut holder = self.client("locker")?;
        let root = holder.walk(&[SHARE])?;
        let open = holder.open(&root, "locked", How::Create, 0)?;
        let mut owner = holder.lock_first(&open, 0)?;
        let small = self.locking(&mut holder, &open, &mut owner, 16)?;
        let before = resident(self.server.id)?;
        for index in 1..=count {
            holder.lock(&open, &mut owner, u64::from(index) * 2)?;
        }
        let bytes = self.grown(before, count)?;
        let large = self.locking(&mut holder, &open, &mut owner, count)?;
        for index in 0..=count {
            holder.unlock(&open, &mut owner, u64::from(index) * 2)?;
        }
        holder.leave()?;
        Ok(Growth {
            what: format!("{count} locks on one file, LOCK + LOCKU, one at a time"),
            cpu: Some((small, large)),
            bytes: Some(bytes),
        })
    }

    /// LOOKUP in a directory of 1,000 entries, and of many.
    pub fn entries(&self, count: u32) -> Result<Growth> {
        let small = self.cpu(Workload::Lookup, 1, 16)?;
        let crowd = self.export.join("load/crowd");
        for index in 0..count {
            File::create(crowd.join(format!("another-{index:08}")))?;
        }
        let large = self.cpu(Workload::Lookup, 1, 16)?;
        for index in 0..count {
            fs::remove_file(crowd.join(format!("another-{index:08}")))?;
        }
        Ok(Growth {
            what: format!("{count} more entries, LOOKUP"),
            cpu: Some((small, large)),
            bytes: None,
        })
    }

    /// GETATTR of files all over a tree of 10,000 files, and of many.
    pub fn tree(&self, count: u32) -> Result<Growth> {
        let small = self.across("small", 10_000)?;
        let before = resident(self.server.id)?;
        let large = self.across("large", count)?;
        Ok(Growth {
            what: format!("{count} files in the tree, GETATTR of 1,024 all over it"),
            cpu: Some((small, large)),
            bytes: Some(self.grown(before, count)?),
        })
    }

    fn across(&self, name: &str, count: u32) -> Result<f64> {
        const SAMPLES: u32 = 1024;
        let root = self.export.join(name);
        for directory in 0..count.div_ceil(1000) {
            let directory = root.join(format!("{directory:06}"));
            fs::create_dir_all(&directory)?;
            for file in 0..1000 {
                File::create(directory.join(format!("{file:03}")))?;
            }
        }
        let paths: Vec<_> = (0..SAMPLES)
            .map(|sample| {
                let file = (u64::from(sample) * u64::from(count) / u64::from(SAMPLES)) as u32;
                let directory = format!("{:06}", file / 1000);
                [name.to_owned(), directory, format!("{:03}", file % 1000)]
            })
            .collect();
        let (client, lane) = self.target().attributes_of(&paths, 16)?;
        let mut lanes = [lane];
        let figures = Figures::of(&self.run().load(&mut lanes, 1)?, 0);
        let [lane] = &lanes;
        client.finish(lane)?;
        fs::remove_dir_all(root)?;
        figures.server_cpu.context("no figure")
    }

    fn locking(
        &self,
        holder: &mut Client,
        open: &Open,
        owner: &mut [u8; 16],
        locks: u32,
    ) -> Result<f64> {
        const PAIRS: u32 = 5000;
        let before = Usage::of(self.server.id)?;
        for turn in 0..PAIRS {
            // Between two others' bytes, all over the file.
            let offset = u64::from(turn.wrapping_mul(7919) % locks) * 2 + 1;
            holder.lock(open, owner, offset)?;
            holder.unlock(open, owner, offset)?;
        }
        let used = Usage::of(self.server.id)?.since(&before);
        Ok(used.cpu.as_secs_f64() * 1e6 / f64::from(PAIRS))
    }

    /// Empty files in a directory of their own.
    fn files(&self, directory: &str, count: u32) -> Result<(Vec<String>, String)> {
        fs::create_dir_all(self.export.join(directory))?;
        let names: Vec<_> = (0..count).map(|index| format!("{index:08}")).collect();
        for name in &names {
            File::create(self.export.join(directory).join(name))?;
        }
        Ok((names, directory.to_owned()))
    }

    fn cpu(&self, work: Workload, clients: u32, outstanding: u32) -> Result<f64> {
        let target = self.target();
        let prepared = (0..clients).map(|index| target.prepare(work, index, outstanding, 0));
        let prepared = prepared.collect::<Result<Vec<_>>>()?;
        let (clients, mut lanes): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
        let figures = Figures::of(&self.run().load(&mut lanes, 1)?, 0);
        for (client, lane) in clients.into_iter().zip(&lanes) {
            client.finish(lane)?;
        }
        figures.server_cpu.context("no figure")
    }

    fn grown(&self, before: u64, count: u32) -> Result<f64> {
        let now = resident(self.server.id)?;
        Ok(now.saturating_sub(before) as f64 / f64::from(count))
    }

    fn client(&self, name: &str) -> Result<Client> {
        let name = format!("{name}-{}", std::process::id());
        Client::connect(self.server.address, 1, &name, 1)
    }

    fn target(&self) -> Target<'_> {
        Target {
            address: self.server.address,
            minor: 1,
            share: SHARE,
        }
    }

    fn run(&self) -> Run {
        Run {
            warm_up: Duration::from_secs_f64(self.seconds / 5.0),
            duration: Duration::from_secs_f64(self.seconds),
            server: Some(self.server.id),
        }
    }
}
