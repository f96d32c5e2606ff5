//! Copies that go on after their COPY was answered.
//! <https://www.rfc-editor.org/rfc/rfc7862#section-4.8>
//!
//! Each has a stateid of its own, which is good for the user who ordered it, on the file that it writes. It is
//! known until its client has acknowledged its result, has cancelled it or is gone, and so long it counts:
//! who acknowledges nothing gets no more of them.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::files::Bound;
use crate::exports::FileKey;
use crate::status::Status;
use crate::types::{ClientId, StateId};

/// Background copies of all clients.
pub struct Copies {
    mark: [u8; 4],
    keys: RandomState,
    last: AtomicU64,
    jobs: Mutex<HashMap<u64, Arc<Job>>>,
}

/// The only counter that the stateid of a copy ever has: "MUST NOT be zero" (RFC 7862 §4.8).
const SEQID: u32 = 1;

/// What is to be copied, and for whom.
#[derive(Debug, Clone)]
pub struct Order {
    /// The client.
    pub client: ClientId,
    /// Its user: nobody else's wish to cancel counts (RFC 7862 §4.1.2).
    pub user: u32,
    /// Where from.
    pub source: Place,
    /// Where to.
    pub target: Place,
    /// How many bytes.
    pub total: u64,
}

/// A file, and what an operator knows it by.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file.
    pub key: FileKey,
    /// Its share's name.
    pub share: Arc<str>,
    /// Its number in the share's file system.
    pub fileid: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.share, self.fileid)
    }
}

/// One background copy.
#[derive(Debug)]
pub struct Job {
    /// What is copied.
    pub order: Order,
    /// What its client calls it.
    pub stateid: StateId,
    /// When it was ordered.
    pub began: Instant,
    id: u64,
    done: AtomicU64,
    phase: Mutex<Phase>,
    changed: Notify,
}

/// How far a copy is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It goes on.
    Running,
    /// It goes on until it looks at this.
    Stopping(Stop),
    /// Nothing is written any more.
    Ended(Result<(), Status>),
}

/// Why a copy is to end before all is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Its client wants it no more.
    Client,
    /// The operator does not want it.
    Operator,
    /// Its client is gone, or the server goes: nobody waits for it.
    Nobody,
}

impl Copies {
    /// None, in the server's start `boot`. With the random `keys`, nobody can guess a stateid.
    pub(super) fn new(boot: u32, keys: RandomState) -> Self {
        Self {
            // No start has such a number, so that these are no stateids of opens and locks, nor any of
            // another start.
            mark: (!boot).to_be_bytes(),
            keys,
            last: AtomicU64::new(0),
            jobs: Mutex::default(),
        }
    }

    /// A copy from now on; none if there are enough.
    pub fn begin(&self, order: Order, now: Instant, limit: Bound) -> Option<Arc<Job>> {
        let mut jobs = self.jobs.lock();
        let own = jobs.values().filter(|job| job.order.client == order.client);
        if own.count() >= limit.each || jobs.len() >= limit.all {
            return None;
        }
        let id = loop {
            let id = self.keys.hash_one(self.last.fetch_add(1, Relaxed));
            if !jobs.contains_key(&id) {
                break id;
            }
        };
        let job = Arc::new(Job {
            order,
            stateid: self.stateid(id),
            began: now,
            id,
            done: AtomicU64::new(0),
            phase: Mutex::new(Phase::Running),
            changed: Notify::new(),
        });
        jobs.insert(id, Arc::clone(&job));
        Some(job)
    }

    /// The copy that a user's stateid names, on the file that it writes.
    pub fn find(
        &self,
        client: ClientId,
        user: u32,
        target: &FileKey,
        stateid: &StateId,
    ) -> Result<Arc<Job>, Status> {
        let (mark, id) = stateid.other.split_at(4);
        let id = id.first_chunk().map(|id| u64::from_be_bytes(*id));
        let known = id.filter(|_| mark == self.mark && stateid.seqid == SEQID);
        let job = known.and_then(|id| self.numbered(id));
        job.filter(|job| {
            let order = &job.order;
            order.client == client && order.user == user && order.target.key == *target
        })
        .ok_or(Status::BadStateid)
    }

    /// The copy of this number.
    pub fn numbered(&self, id: u64) -> Option<Arc<Job>> {
        self.jobs.lock().get(&id).cloned()
    }

    /// Whether the copy's result is still to be told.
    pub fn knows(&self, job: &Job) -> bool {
        self.jobs.lock().contains_key(&job.id)
    }

    /// Nobody asks for the copy any more.
    pub fn forget(&self, job: &Job) {
        self.jobs.lock().remove(&job.id);
    }

    /// Forgets all copies of a client that is gone, and has those end that are under way.
    pub(super) fn release_client(&self, client: ClientId) {
        let of_client = |_: &u64, job: &mut Arc<Job>| job.order.client == client;
        let gone: Vec<_> = self.jobs.lock().extract_if(of_client).collect();
        for (_, job) in gone {
            job.stop(Stop::Nobody);
        }
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Arc<Job>> {
        let mut all: Vec<_> = self.jobs.lock().values().cloned().collect();
        all.sort_unstable_by_key(|job| (job.began, job.id));
        all
    }

    /// How many there are.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn count(&self) -> usize {
        self.jobs.lock().len()
    }

    fn stateid(&self, id: u64) -> StateId {
        let mut other = [0; 12];
        let bytes = self.mark.into_iter().chain(id.to_be_bytes());
        other
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        StateId {
            seqid: SEQID,
            other,
        }
    }
}

impl Job {
    /// Its number, for operators.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Bytes that are copied.
    pub fn done(&self) -> u64 {
        self.done.load(Relaxed)
    }

    /// More bytes are copied.
    pub fn advance(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
    }

    /// How far it is.
    pub fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    /// Has it end soon, unless it ends for another reason already.
    pub fn stop(&self, why: Stop) {
        let mut phase = self.phase.lock();
        if *phase == Phase::Running {
            *phase = Phase::Stopping(why);
        }
        drop(phase);
        self.changed.notify_waiters();
    }

    /// Nothing is written from now on. What it ended with first stays.
    pub fn end(&self, result: Result<(), Status>) {
        let mut phase = self.phase.lock();
        if !matches!(*phase, Phase::Ended(_)) {
            *phase = Phase::Ended(result);
        }
        drop(phase);
        self.changed.notify_waiters();
    }

    /// Resolves when it is to end, or has ended.
    pub async fn stopped(&self) {
        self.until(|phase| phase != Phase::Running).await;
    }

    /// Resolves when it has ended.
    pub async fn ended(&self) {
        self.until(|phase| matches!(phase, Phase::Ended(_))).await;
    }

    async fn until(&self, reached: impl Fn(Phase) -> bool) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look: no change in between is missed.
            changed.as_mut().enable();
            if reached(self.phase()) {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use dittofs_sdk::vfs::Handle;
    use uuid::Uuid;

    use super::*;

    const ANN: ClientId = ClientId(1);
    const BOB: ClientId = ClientId(2);
    const LIMIT: Bound = Bound { each: 2, all: 3 };

    fn copies() -> Copies {
        Copies::new(5, RandomState::new())
    }

    fn place(file: &[u8]) -> Place {
        Place {
            key: FileKey {
                share: Uuid::from_u128(7),
                handle: Handle::new(file).unwrap(),
            },
            share: "/export".into(),
            fileid: 3,
        }
    }

    fn order(client: ClientId) -> Order {
        Order {
            client,
            user: 1000,
            source: place(b"source"),
            target: place(b"target"),
            total: 100,
        }
    }

    fn begin(copies: &Copies, client: ClientId) -> Option<Arc<Job>> {
        copies.begin(order(client), Instant::now(), LIMIT)
    }

    #[test]
    fn a_stateid_is_good_for_one_user_of_one_client_on_the_target_in_one_start() {
        let all = copies();
        let job = begin(&all, ANN).unwrap();
        let StateId { seqid, other } = job.stateid;
        assert_ne!(seqid, 0);
        let target = job.order.target.key;
        let find = |client, user, target: &FileKey, seqid| {
            let found = all.find(client, user, target, &StateId { seqid, other });
            found.map(|job| job.id())
        };
        assert_eq!(find(ANN, 1000, &target, seqid), Ok(job.id()));
        for bad in [
            find(BOB, 1000, &target, seqid),
            find(ANN, 1001, &target, seqid),
            find(ANN, 1000, &job.order.source.key, seqid),
            find(ANN, 1000, &target, 0),
            find(ANN, 1000, &target, seqid + 1),
        ] {
            assert_eq!(bad, Err(Status::BadStateid));
        }
        let later = Copies::new(6, all.keys.clone());
        begin(&later, ANN).unwrap();
        for stateid in [job.stateid, StateId::CURRENT, StateId::ANONYMOUS] {
            let found = later.find(ANN, 1000, &target, &stateid);
            assert_eq!(found.err(), Some(Status::BadStateid));
        }
    }

    #[test]
    fn copies_count_until_they_are_acknowledged() {
        let all = copies();
        let first = begin(&all, ANN).unwrap();
        begin(&all, ANN).unwrap();
        assert!(begin(&all, ANN).is_none(), "enough of one client's");
        begin(&all, BOB).unwrap();
        first.end(Ok(()));
        assert!(begin(&all, BOB).is_none(), "enough");
        assert!(all.knows(&first));
        all.forget(&first);
        assert!(!all.knows(&first));
        assert!(begin(&all, BOB).is_some());
    }

    #[tokio::test]
    async fn copies_of_a_client_that_is_gone_are_to_end() {
        let all = copies();
        let (ann, bob) = (begin(&all, ANN).unwrap(), begin(&all, BOB).unwrap());
        all.release_client(ANN);
        ann.stopped().await;
        assert_eq!(ann.phase(), Phase::Stopping(Stop::Nobody));
        assert_eq!((bob.phase(), all.count()), (Phase::Running, 1));
        assert_eq!(all.all().len(), 1);
    }

    #[tokio::test]
    async fn the_first_reason_to_stop_and_the_first_result_stay() {
        let job = begin(&copies(), ANN).unwrap();
        job.stop(Stop::Client);
        job.stop(Stop::Operator);
        assert_eq!(job.phase(), Phase::Stopping(Stop::Client));
        job.end(Err(Status::Nospc));
        job.end(Ok(()));
        job.stop(Stop::Nobody);
        job.ended().await;
        assert_eq!(job.phase(), Phase::Ended(Err(Status::Nospc)));
    }
}
