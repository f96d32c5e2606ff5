//! What opens and locks cost by themselves, without requests and without a file system: the bytes that each
//! takes, counted by the allocator, and the time to make it and to end it.
#![allow(clippy::unwrap_used)]

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dittofs_benches::allocations::{self, Counting};
use dittofs_nfs::exports::FileKey;
use dittofs_nfs::state::Files;
use dittofs_nfs::state::files::{
    Bound, Caller, LockKind, LockRequest, OpenRequest, Owner, Range, Role, Share, Touch, Waits,
};
use dittofs_nfs::types::{ClientId, StateId};
use dittofs_sdk::uuid::Uuid;
use dittofs_sdk::vfs::{Attr, Buffer, File, Handle, Op, ReadOk, Stability, VfsError, Written};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const COUNT: u64 = 100_000;
const CLIENT: ClientId = ClientId(1);
const CALLER: Caller = Caller::V41(CLIENT);
const BOUND: Bound = Bound {
    each: usize::MAX,
    all: usize::MAX,
};

fn main() {
    opens("of each file, of one owner", |_| 0);
    opens("of each file, each of an owner of its own", |file| file);
    two_clients();
    one_file_many_opens();
    locks("all of one owner and file", |_| 0);
    locks("each of an owner of its own, one file", |lock| lock);
}

/// Opens each file once and closes it.
fn opens(what: &str, owner: impl Fn(u64) -> u64) {
    let files = files();
    let file: Arc<dyn File> = Arc::new(NoFile);
    let mut stateids = Vec::with_capacity(COUNT as usize);
    let clock = Clock::start();
    for number in 0..COUNT {
        stateids.push(open(&files, &file, number, owner(number)));
    }
    let made = clock.stop();
    let clock = Clock::start();
    for (number, stateid) in stateids.iter().enumerate() {
        files.close(CALLER, stateid, &key(number as u64)).unwrap();
    }
    report(&format!("open, {what}"), &made, &clock.stop());
    let clock = Clock::start();
    for _ in 0..COUNT {
        let stateid = open(&files, &file, 1, 1);
        files.close(CALLER, &stateid, &key(1)).unwrap();
    }
    let both = clock.stop();
    println!(
        "open and close, alone: {:.0} ns, {:.1} allocations",
        both.time, both.allocations
    );
}

/// Two clients on two threads, each with files of its own: half the time per open of one thread means that
/// they share nothing.
fn two_clients() {
    let files = files();
    files.admit_client(ClientId(2), &Arc::default());
    let run = |client: u64| {
        let file: Arc<dyn File> = Arc::new(NoFile);
        let caller = Caller::V41(ClientId(client));
        for number in 0..COUNT {
            let number = (client << 32) | (number % 64);
            let mut request = request(&file, number, 1);
            request.owner.client = ClientId(client);
            let stateid = files.open(caller, &request).unwrap().stateid;
            files.close(caller, &stateid, &key(number)).unwrap();
        }
    };
    let clock = Clock::start();
    run(1);
    let alone = clock.stop().time;
    let clock = Clock::start();
    std::thread::scope(|scope| {
        scope.spawn(|| run(1));
        scope.spawn(|| run(2));
    });
    let both = clock.stop().time / 2.0;
    println!("open and close: {alone:.0} ns on one thread, {both:.0} ns on two");
}

/// Many owners' opens of the same file.
fn one_file_many_opens() {
    let files = files();
    let file: Arc<dyn File> = Arc::new(NoFile);
    let mut stateids = Vec::with_capacity(COUNT as usize);
    let clock = Clock::start();
    for number in 0..COUNT {
        stateids.push(open(&files, &file, 0, number));
    }
    let made = clock.stop();
    let clock = Clock::start();
    for stateid in &stateids {
        files.close(CALLER, stateid, &key(0)).unwrap();
    }
    report(
        "open, all of one file, each of an owner of its own",
        &made,
        &clock.stop(),
    );
}

/// Locks every other byte of one file and lets go of it.
fn locks(what: &str, owner: impl Fn(u64) -> u64) {
    let files = files();
    let file: Arc<dyn File> = Arc::new(NoFile);
    let open = open(&files, &file, 0, 0);
    let mut stateids = Vec::with_capacity(COUNT as usize);
    let clock = Clock::start();
    for number in 0..COUNT {
        let owner = self::owner(Role::Lock, owner(number));
        let lock = files.lock_first(CALLER, &open, &key(0), &owner, lock(number));
        stateids.push(lock.unwrap());
    }
    let made = clock.stop();
    let clock = Clock::start();
    for (number, stateid) in stateids.iter().enumerate() {
        let stateid = StateId {
            seqid: 0,
            ..*stateid
        };
        let range = Range::new(2 * number as u64, 1).unwrap();
        files
            .unlock(CALLER, &stateid, &key(0), range, usize::MAX)
            .unwrap();
    }
    report(&format!("lock, {what}"), &made, &clock.stop());
}

fn files() -> Files {
    let files = Files::new(1, RandomState::new());
    files.admit_client(CLIENT, &Arc::default());
    files
}

fn open(files: &Files, file: &Arc<dyn File>, number: u64, owner: u64) -> StateId {
    let request = request(file, number, owner);
    files.open(CALLER, &request).unwrap().stateid
}

fn request(file: &Arc<dyn File>, number: u64, owner: u64) -> OpenRequest {
    let share = Share::new(3, 0).unwrap();
    OpenRequest {
        owner: self::owner(Role::Open, owner),
        key: key(number),
        user: 1000,
        share,
        touch: Touch::of_open(share),
        file: Arc::clone(file),
        confirmed: true,
        limit: BOUND,
    }
}

fn lock(number: u64) -> LockRequest {
    LockRequest {
        range: Range::new(2 * number, 1).unwrap(),
        kind: LockKind::Write,
        limit: BOUND,
        waits: Waits {
            blocking: false,
            now: Instant::now(),
            lease: Duration::from_secs(90),
            tell: None,
        },
    }
}

/// A name as long as that of a Linux client.
fn owner(role: Role, number: u64) -> Owner {
    let mut name = [0; 24];
    if let Some(first) = name.first_chunk_mut() {
        *first = number.to_be_bytes();
    }
    Owner {
        client: CLIENT,
        role,
        name: Arc::from(name),
    }
}

/// A key as long as that of a file on tmpfs or XFS.
fn key(number: u64) -> FileKey {
    let mut handle = [0; 33];
    if let Some(first) = handle.first_chunk_mut() {
        *first = number.to_be_bytes();
    }
    FileKey {
        share: Uuid::from_u128(7),
        handle: Handle::new(&handle).unwrap(),
    }
}

struct Clock {
    since: Instant,
    held: i64,
    allocations: u64,
}

/// Of each.
struct Cost {
    time: f64,
    bytes: f64,
    allocations: f64,
}

impl Clock {
    fn start() -> Self {
        Self {
            held: allocations::held(),
            allocations: allocations::count(),
            since: Instant::now(),
        }
    }

    fn stop(&self) -> Cost {
        let time = self.since.elapsed().as_nanos() as f64 / COUNT as f64;
        Cost {
            time,
            bytes: (allocations::held() - self.held) as f64 / COUNT as f64,
            allocations: (allocations::count() - self.allocations) as f64 / COUNT as f64,
        }
    }
}

fn report(what: &str, made: &Cost, ended: &Cost) {
    println!(
        "{what}: {:.0} bytes, {:.0} kept when ended; {:.0} ns and {:.1} allocations to make, {:.0} ns to end",
        made.bytes,
        made.bytes + ended.bytes,
        made.time,
        made.allocations,
        ended.time
    );
}

/// A file of which nothing is wanted.
struct NoFile;

impl File for NoFile {
    fn attr(&self) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
    fn read(&self, _: u64, _: u32, _: Buffer) -> Op<ReadOk> {
        Op::err(VfsError::Io)
    }
    fn write(&self, _: u64, _: Bytes, _: Stability) -> Op<Written> {
        Op::err(VfsError::Io)
    }
    fn commit(&self, _: u64, _: u64) -> Op<()> {
        Op::err(VfsError::Io)
    }
    fn truncate(&self, _: u64) -> Op<Attr> {
        Op::err(VfsError::Io)
    }
}
