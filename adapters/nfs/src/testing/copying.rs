//! COPY and what belongs to it, with the arguments that most tests give them.

use super::{Client41, Compound, Reply};
use crate::status::Status;
use crate::types::{StateId, Verifier};

/// COPY4args without stateids.
#[derive(Clone, Copy, Default)]
pub(crate) struct CopyArgs {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) count: u64,
    pub(crate) synchronous: bool,
    /// Whether the source is on another server.
    pub(crate) elsewhere: bool,
}

/// COPY4resok
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copied {
    pub(crate) stateid: Option<StateId>,
    pub(crate) count: u64,
    pub(crate) synchronous: bool,
    pub(crate) verifier: Verifier,
}

impl<'h> Client41<'h> {
    /// At a file of the share.
    pub(crate) fn file(&self, name: &str) -> Compound<'h> {
        self.compound().putrootfh().lookup("export").lookup(name)
    }

    /// Opens a file for reading and writing, makes it if need be, and writes.
    pub(crate) async fn written(&self, name: &str, data: &[u8]) -> StateId {
        let open = self.compound().putrootfh().lookup("export");
        let open = open.open_file(self.id, 0, "owner", name);
        let stateid: StateId = open.run().await.skip(2).ok_body();
        for (at, piece) in data.chunks(1 << 20).enumerate() {
            let write = self.file(name).op(38, |w| {
                w.write(&stateid);
                w.write(&((at as u64) << 20));
                w.write(&0_u32);
                w.opaque(piece);
            });
            write.run().await.ok();
        }
        stateid
    }

    /// All of a file.
    pub(crate) async fn content(&self, name: &str) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let read = self.file(name).op(25, |w| {
                w.write(&StateId::READ_BYPASS);
                w.write(&(all.len() as u64));
                w.write(&(1_u32 << 20));
            });
            let mut reply = read.run().await;
            let eof: bool = reply.skip(3).ok_body();
            let data: bytes::Bytes = reply.body();
            all.extend_from_slice(&data);
            if eof {
                return all;
            }
        }
    }

    /// COPY from one file of the share to another.
    pub(crate) fn copy(
        &self,
        (source, from): (&str, StateId),
        (target, to): (&str, StateId),
        args: CopyArgs,
    ) -> Compound<'h> {
        let at = self.file(source).op(32, |_| ()).putrootfh();
        at.lookup("export").lookup(target).copy(from, to, args)
    }
}

impl Compound<'_> {
    /// COPY of the saved file.
    pub(crate) fn copy(self, from: StateId, to: StateId, args: CopyArgs) -> Self {
        self.op(60, |w| {
            w.write(&from);
            w.write(&to);
            for number in [args.from, args.to, args.count] {
                w.write(&number);
            }
            w.write(&true);
            w.write(&args.synchronous);
            w.write(&u32::from(args.elsewhere));
            if args.elsewhere {
                w.write(&1_u32);
                w.write("elsewhere");
            }
        })
    }

    pub(crate) fn offload_cancel(self, stateid: StateId) -> Self {
        self.with(66, &stateid)
    }

    pub(crate) fn offload_status(self, stateid: StateId) -> Self {
        self.with(67, &stateid)
    }
}

impl Reply {
    /// The result of COPY, which has to be the next one, after `before` others.
    pub(crate) fn copied(&mut self, before: usize) -> Copied {
        assert_eq!(self.status, Status::Ok);
        self.skip(before);
        let stateids: Vec<StateId> = match self.ok_body() {
            0_u32 => Vec::new(),
            1 => vec![self.body()],
            more => panic!("{more} stateids"),
        };
        let count = self.body();
        assert_eq!(self.body::<u32>(), 0, "not stable yet");
        let verifier = self.body();
        assert!(self.body::<bool>(), "in order");
        Copied {
            stateid: stateids.first().copied(),
            count,
            synchronous: self.body(),
            verifier,
        }
    }

    /// Of OFFLOAD_STATUS, likewise: bytes, and the end.
    pub(crate) fn progress(&mut self, before: usize) -> (u64, Option<Status>) {
        self.skip(before);
        let count = self.ok_body();
        let ended = match self.body() {
            0_u32 => None,
            _ => Status::from_number(self.body()),
        };
        (count, ended)
    }
}
