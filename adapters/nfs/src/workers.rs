//! The threads that serve connections.
//!
//! A connection belongs to one thread for life, and what its COMPOUNDs wait for wakes them there. A
//! runtime whose threads take work from each other wakes another thread whenever it finds some:
//! that costs more than a hot operation does.

use std::io;
use std::net::TcpStream as StdStream;
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use dittofs_sdk::thread;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

/// Threads to serve connections on. They end when this is dropped, and their tasks with them.
pub struct Workers {
    all: Vec<Worker>,
    /// Every thread watches it until it ends.
    stop: watch::Sender<bool>,
}

struct Worker {
    runtime: Handle,
    /// Connections that it serves.
    load: Arc<AtomicUsize>,
}

impl Workers {
    /// One for each processor that this process may use.
    pub fn start() -> io::Result<Self> {
        Self::of(available_parallelism().map_or(1, NonZero::get))
    }

    /// None: every connection is served by the runtime that accepts it.
    pub fn none() -> Self {
        let (stop, _) = watch::channel(false);
        Self {
            all: Vec::new(),
            stop,
        }
    }

    fn of(count: usize) -> io::Result<Self> {
        let mut workers = Self::none();
        for number in 0..count {
            let worker = Worker::start(number, workers.stop.subscribe())?;
            workers.all.push(worker);
        }
        Ok(workers)
    }

    /// Has `serve` serve a connection, on the thread that has the fewest.
    pub fn serve<F>(
        &self,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let load = |worker: &&Worker| worker.load.load(Ordering::Relaxed);
        match self.all.iter().min_by_key(load) {
            Some(worker) => worker.serve(stream.into_std()?, serve),
            None => drop(tokio::spawn(serve(stream))),
        }
        Ok(())
    }

    /// Ends the threads, and waits for that.
    pub async fn end(&self) {
        self.stop.send_replace(true);
        self.stop.closed().await;
    }
}

impl Worker {
    fn start(number: usize, stopped: watch::Receiver<bool>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let worker = Self {
            runtime: runtime.handle().clone(),
            load: Arc::default(),
        };
        thread::spawn(format!("nfs-worker-{number}"), || run(runtime, stopped))?;
        Ok(worker)
    }

    fn serve<F>(&self, stream: StdStream, serve: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let seat = Seat::take(&self.load);
        self.runtime.spawn(async move {
            let _seat = seat;
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!("can't serve a connection: {error}"),
            }
        });
    }
}

fn run(runtime: Runtime, mut stopped: watch::Receiver<bool>) {
    // An error is that nobody is left who could say it.
    let _ = runtime.block_on(stopped.wait_for(|&stopped| stopped));
    runtime.shutdown_background();
}

/// Counts a connection for as long as it lives.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread::ThreadId;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    /// A connection whose thread is told, and that then waits for its peer.
    async fn connect(workers: &Workers, threads: &mpsc::Sender<ThreadId>) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let client = client.await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let threads = threads.clone();
        let serve = |mut stream: TcpStream| async move {
            threads.send(std::thread::current().id()).unwrap();
            let _ = stream.read(&mut [0]).await;
        };
        workers.serve(stream, serve).unwrap();
        client
    }

    #[tokio::test]
    async fn connections_are_spread_and_end_with_their_threads() {
        let workers = Workers::of(2).unwrap();
        let (told, threads) = mpsc::channel();
        let mut clients = Vec::new();
        for _ in 0..4 {
            clients.push(connect(&workers, &told).await);
        }
        let seen: Vec<ThreadId> = threads.iter().take(4).collect();
        for thread in &seen {
            let same = seen.iter().filter(|other| *other == thread);
            assert_eq!(same.count(), 2);
            assert_ne!(*thread, std::thread::current().id());
        }
        workers.end().await;
        for mut client in clients {
            assert!(matches!(client.read(&mut [0]).await, Ok(0) | Err(_)));
        }
    }

    #[tokio::test]
    async fn without_threads_a_connection_is_served_where_it_is_accepted() {
        let (told, threads) = mpsc::channel();
        let _client = connect(&Workers::none(), &told).await;
        tokio::task::yield_now().await;
        assert_eq!(threads.recv().unwrap(), std::thread::current().id());
    }
}
