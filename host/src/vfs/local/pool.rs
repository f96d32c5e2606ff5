//! A bounded pool of threads for system calls that may sleep.
//!
//! An answer travels by a channel that needs no runtime, so that any executor can wait for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use dittofs_sdk::vfs::{Op, VfsError, VfsResult};
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that start when needed and end when the pool is dropped.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: usize,
    queue: usize,
}

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    started: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    /// At most `threads` threads, and `queue` jobs waiting for one.
    pub(super) fn new(threads: usize, queue: usize) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
        });
        Self {
            shared,
            threads: threads.max(1),
            queue: queue.max(1),
        }
    }

    /// Runs `job` on a thread of the pool; [`VfsError::TryLater`] if the queue is full, and
    /// [`VfsError::Io`] if the job panics.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> VfsResult<T> + Send + 'static,
    ) -> Op<T> {
        let (answer, receiver) = oneshot::channel();
        let job = Box::new(move || {
            // Nobody may be waiting any more; the job has run all the same.
            let _ = answer.send(job());
        });
        if !self.submit(job) {
            return Op::err(VfsError::TryLater);
        }
        Op::later(async move { receiver.await.unwrap_or(Err(VfsError::Io)) })
    }

    fn submit(&self, job: Job) -> bool {
        let mut state = self.shared.state.lock();
        if state.jobs.len() >= self.queue {
            return false;
        }
        // Idle threads that are already spoken for by queued jobs do not count.
        if state.idle <= state.jobs.len() && state.started < self.threads {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name("vfs-local".into());
            if thread.spawn(move || shared.work()).is_ok() {
                state.started += 1;
            } else if state.started == 0 {
                return false;
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.shared.wake.notify_one();
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        super::identity::become_worker();
        while let Some(job) = self.next() {
            // The hook of the process has reported the panic; the waiter sees the channel close.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    }

    /// The next job, after waiting for it; none when the pool is closed and drained.
    fn next(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.idle += 1;
            self.wake.wait(&mut state);
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait<T>(op: Op<T>) -> VfsResult<T> {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(op)
    }

    #[test]
    fn a_full_queue_asks_to_try_later_and_loses_nothing() {
        let pool = Pool::new(1, 2);
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (entered, running) = std::sync::mpsc::channel::<()>();
        let busy = pool.run(move || {
            entered.send(()).unwrap();
            gate.recv().map_err(|_| VfsError::Io)
        });
        running.recv().unwrap();
        let queued: Vec<Op<u32>> = (0..2).map(|n| pool.run(move || Ok(n))).collect();
        assert_eq!(wait(pool.run(|| Ok(()))), Err(VfsError::TryLater));
        release.send(()).unwrap();
        assert_eq!(wait(busy), Ok(()));
        let answers: Vec<_> = queued.into_iter().map(wait).collect();
        assert_eq!(answers, [Ok(0), Ok(1)]);
    }

    #[test]
    fn a_panicking_job_is_an_error_and_the_thread_lives_on() {
        let pool = Pool::new(1, 2);
        assert_eq!(
            wait(pool.run(|| -> VfsResult<()> { panic!("a test's panic") })),
            Err(VfsError::Io)
        );
        assert_eq!(wait(pool.run(|| Ok(7))), Ok(7));
    }
}
