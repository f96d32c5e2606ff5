//! A server in memory, and what its clients have learned from its replies.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::vfs::{Buffer, Cred, FileSystem, Handle, Name, Op, ReadDirLimit, VfsResult};
use dittofs_sdk::{Share, Squash};
use uuid::Uuid;

use super::choices::Choices;
use super::grammar::{COUNTED, UNCOUNTED};
use crate::compound::{self, Request};
use crate::connection::Connection;
use crate::delegations;
use crate::exports::Exports;
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::rpc::{Auth, Call};
use crate::server::Server;
use crate::settings::Settings;

const LEASE: u32 = 10;
const COURTESY: u32 = 20;

/// The server and who talks to it.
pub(super) struct World {
    pub(super) server: Arc<Server>,
    fs: Arc<dyn FileSystem>,
    objects: u64,
    connections: Vec<Arc<Connection>>,
    xid: u32,
}

impl World {
    pub(super) fn new() -> Self {
        let options = Options {
            mode: 0o777,
            max_bytes: 16 << 20,
            max_files: 1024,
            ..Options::default()
        };
        let fs: Arc<dyn FileSystem> = Arc::new(MemoryFs::new(&options).unwrap());
        let share = Share {
            id: Uuid::from_u128(7),
            name: "/export".into(),
            fs: Arc::clone(&fs),
            read_only: false,
            squash: Squash::None,
            anonymous_uid: 65534,
            anonymous_gid: 65534,
            clients: Vec::new(),
        };
        let settings = Settings {
            lease_time: LEASE,
            courtesy_time: COURTESY,
            max_clients: 16,
            // Most copies go on in the background.
            copy_threshold: 2,
            max_async_copies_per_client: 2,
            ..Settings::default()
        };
        let server = Server::new(
            settings,
            Exports::new(&Arc::from([Arc::new(share)])),
            Identity::new(Uuid::from_u128(42), 1),
            Metrics::default(),
        );
        server.callbacks.never_dial();
        Self {
            server: Arc::new(server),
            objects: ready(fs.stat_fs()).unwrap().free_files,
            fs,
            connections: (0..3).map(connect).collect(),
            xid: 0,
        }
    }

    /// A transaction id that was not used.
    pub(super) fn next_xid(&mut self) -> u32 {
        self.xid += 1;
        self.xid
    }

    /// Runs COMPOUND4args that come over one of three connections, each with a user of its own.
    /// `None` if they can't be read, which RPC answers.
    pub(super) async fn serve(&self, from: usize, xid: u32, args: &[u8]) -> Option<Bytes> {
        let connection = Arc::clone(&self.connections[from]);
        let request = Request::decode(Bytes::copy_from_slice(args)).ok()?;
        let user = 1000 + from as u32;
        let call = Call {
            peer: connection.peer,
            connection,
            auth: Auth::Sys(Cred::user(user, user)),
            xid,
            size: 60 + args.len(),
            digest: self.server.digest(args),
        };
        let reply = compound::serve(&self.server, call, request, Buffer::default()).await;
        Some(Bytes::copy_from_slice(&reply))
    }

    /// One of the connections breaks and is made anew.
    pub(super) fn reconnect(&mut self, which: usize) {
        self.server
            .state
            .disconnected(&self.connections[which].link);
        self.connections[which] = connect(which);
    }

    /// Time passes, and leases with it.
    pub(super) async fn wait(&self, time: Duration) {
        tokio::time::sleep(time).await;
        self.server.pass(time);
        self.server.end_leases(self.server.now()).await;
        delegations::sweep(&self.server, self.server.now()).await;
    }

    /// All clients stay silent until nothing of theirs is left, and all names are removed.
    pub(super) async fn ends_empty(self) {
        for _ in 0..3 {
            self.wait(Duration::from_secs((LEASE + COURTESY + 1).into()))
                .await;
        }
        let left = self.server.state.leftovers();
        assert!(left.is_empty(), "left of clients that are gone: {left:?}");
        remove_all(&*self.fs, &self.fs.root());
        let objects = ready(self.fs.stat_fs()).unwrap().free_files;
        assert_eq!(objects, self.objects, "files are still open");
    }
}

fn connect(which: usize) -> Arc<Connection> {
    let port = 700 + which as u16;
    let local = SocketAddr::from(([127, 0, 0, 1], 2049));
    Arc::new(Connection::new(([127, 0, 0, 1], port).into(), local))
}

/// Memory answers at once.
fn ready<T>(op: Op<T>) -> VfsResult<T> {
    match op {
        Op::Ready(answer) => answer,
        Op::Later(_) => panic!("memory takes its time"),
    }
}

fn remove_all(fs: &dyn FileSystem, dir: &Handle) {
    let root = Cred::root();
    let limit = ReadDirLimit {
        entries: u32::MAX,
        attrs: true,
    };
    let listing = ready(fs.read_dir(&root, dir, 0, limit)).unwrap();
    for entry in listing.iter() {
        let node = entry.node().unwrap().unwrap();
        if node.attr.kind == dittofs_sdk::vfs::Kind::Dir {
            remove_all(fs, &node.handle);
        }
        ready(fs.remove(&root, dir, Name::new(entry.name()).unwrap())).unwrap();
    }
}

/// What was learned, the latest last.
#[derive(Default)]
pub(super) struct Known {
    /// With the file that each is for, where that is known.
    stateids: Vec<([u8; 16], Option<Vec<u8>>)>,
    /// The current file, where that is known.
    here: Option<Vec<u8>>,
    handles: Vec<Vec<u8>>,
    /// Of 4.0 and of 4.1.
    clients: [Vec<u64>; 2],
    sessions: Vec<[u8; 16]>,
    verifiers: Vec<[u8; 8]>,
    pub(super) owners: Owners,
    pub(super) lockers: Owners,
    /// Operations whose results are still to come, and how owners counted before each.
    begun: VecDeque<(u32, [Owners; 2])>,
    /// Owners have numbers in 4.0 alone.
    pub(super) numbered: bool,
}

const MOST: usize = 16;

fn learn<T: PartialEq>(all: &mut Vec<T>, new: T) {
    all.retain(|old| *old != new);
    all.push(new);
    if all.len() > MOST {
        all.remove(0);
    }
}

/// One of `all`, the latest more often than others; rarely one that was never given out.
fn choose<T: Clone>(
    all: &[T],
    pick: &mut Choices<'_>,
    other: impl FnOnce(&mut Choices<'_>) -> T,
) -> T {
    if all.is_empty() || pick.rarely(6) {
        return other(pick);
    }
    let back = if pick.rarely(96) {
        pick.below(all.len())
    } else {
        0
    };
    all[all.len() - 1 - back].clone()
}

impl Known {
    /// An operation is about to be written.
    pub(super) fn begin(&mut self, number: u32, pick: &mut Choices<'_>) {
        self.owners.turn(pick);
        self.lockers.turn(pick);
        if self.numbered && COUNTED.contains(&number) {
            self.begun.push_back((number, [self.owners, self.lockers]));
        }
    }

    /// The result of an operation: owners count on, or they do not.
    pub(super) fn ended(&mut self, number: u32, status: u32) {
        if !COUNTED.contains(&number) {
            return;
        }
        if let Some((_, before)) = self.begun.pop_front()
            && UNCOUNTED.contains(&status)
        {
            [self.owners, self.lockers] = before;
        }
    }

    /// No more results come: what was not reached has not been counted.
    pub(super) fn all_ended(&mut self) {
        if let Some((_, before)) = self.begun.pop_front() {
            [self.owners, self.lockers] = before;
        }
        self.begun.clear();
    }

    pub(super) fn learn_stateid(&mut self, stateid: [u8; 16]) {
        learn(&mut self.stateids, (stateid, self.here.clone()));
    }

    pub(super) fn learn_handle(&mut self, handle: &[u8]) {
        learn(&mut self.handles, handle.to_vec());
        self.here = Some(handle.to_vec());
        if let Some((_, file @ None)) = self.stateids.last_mut() {
            file.clone_from(&self.here);
        }
    }

    pub(super) fn learn_client(&mut self, client: u64) {
        learn(&mut self.clients[usize::from(!self.numbered)], client);
    }

    pub(super) fn learn_session(&mut self, session: [u8; 16]) {
        learn(&mut self.sessions, session);
    }

    pub(super) fn learn_verifier(&mut self, verifier: [u8; 8]) {
        learn(&mut self.verifiers, verifier);
    }

    pub(super) fn stateid(&self, pick: &mut Choices<'_>) -> [u8; 16] {
        let special = |pick: &mut Choices<'_>| match pick.below(4) {
            0 => [0; 16],
            1 => [0xff; 16],
            2 => current(),
            _ => pick.array(),
        };
        let mut stateid = if pick.rarely(32) {
            special(pick)
        } else {
            let here = |(_, file): &&([u8; 16], Option<Vec<u8>>)| {
                self.here.is_none() || *file == self.here
            };
            let stateids = self
                .stateids
                .iter()
                .filter(here)
                .map(|(stateid, _)| *stateid);
            choose(&stateids.collect::<Vec<_>>(), pick, special)
        };
        if pick.rarely(8) {
            stateid[3] = stateid[3].wrapping_sub(1);
        } else if !self.numbered && pick.rarely(64) {
            stateid[..4].fill(0);
        }
        stateid
    }

    pub(super) fn handle(&self, pick: &mut Choices<'_>) -> Vec<u8> {
        choose(&self.handles, pick, |pick| pick.bytes(64).to_vec())
    }

    /// Goes to a file that there is a stateid for.
    pub(super) fn enter(&mut self, pick: &mut Choices<'_>) -> Vec<u8> {
        let files: Vec<_> = self
            .stateids
            .iter()
            .filter_map(|(_, file)| file.clone())
            .collect();
        let file = choose(&files, pick, |pick| self.handle(pick));
        self.here = Some(file.clone());
        file
    }

    /// The current file is another one, which is not known yet.
    pub(super) fn leave(&mut self) {
        self.here = None;
    }

    pub(super) fn client(&self, pick: &mut Choices<'_>) -> u64 {
        let clients = &self.clients[usize::from(!self.numbered)];
        choose(clients, pick, |pick| pick.u64())
    }

    /// The client's latest number in the minor version that it speaks now.
    pub(super) fn latest_client(&self) -> Option<u64> {
        self.clients[usize::from(!self.numbered)].last().copied()
    }

    pub(super) fn latest_verifier(&self) -> [u8; 8] {
        self.verifiers.last().copied().unwrap_or_default()
    }

    pub(super) fn latest_session(&self) -> Option<[u8; 16]> {
        self.sessions.last().copied()
    }

    /// The server does not know what it gave out any more.
    pub(super) fn forget_session(&mut self) {
        self.sessions.pop();
    }

    /// As [`forget_session`](Self::forget_session), of the client in the minor version that it speaks now.
    pub(super) fn forget_client(&mut self) {
        self.clients[usize::from(!self.numbered)].pop();
    }

    pub(super) fn session(&self, pick: &mut Choices<'_>) -> [u8; 16] {
        choose(&self.sessions, pick, |pick| pick.array())
    }

    pub(super) fn verifier(&self, pick: &mut Choices<'_>) -> [u8; 8] {
        choose(&self.verifiers, pick, |pick| pick.array())
    }
}

/// Some owners of one kind, and how far each has counted its operations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Owners {
    counts: [u32; NAMES.len()],
    now: usize,
}

const NAMES: [&[u8]; 4] = [b"one", b"two", b"three", b""];

impl Owners {
    /// Now and then it is another one's turn.
    fn turn(&mut self, pick: &mut Choices<'_>) {
        if pick.rarely(40) {
            self.now = pick.below(NAMES.len());
        }
    }

    pub(super) fn name(&self) -> &'static [u8] {
        NAMES[self.now]
    }

    /// The next number, more often than not.
    pub(super) fn number(&mut self, numbered: bool, pick: &mut Choices<'_>) -> u32 {
        let count = &mut self.counts[self.now];
        match pick.below(32) {
            1 => pick.u32(),
            _ if !numbered => 0,
            2 => *count,
            _ => {
                *count = count.wrapping_add(1);
                *count
            }
        }
    }
}

/// The current stateid (RFC 8881 §8.2.3).
fn current() -> [u8; 16] {
    let mut stateid = [0; 16];
    stateid[3] = 1;
    stateid
}
