//! What strangers send to the NFS port may cost them their connection; it neither ends the server nor bloats it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use dittofs_tests::Dittofs;
use dittofs_tests::random::Random;
use rustix::process::{Resource, getrlimit, setrlimit};

const MIB: u64 = 1 << 20;
const LAST_FRAGMENT: u32 = 1 << 31;
/// Far beyond what any of this may take; a peer that waits for longer waits for ever.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn garbage_costs_only_its_own_connection() -> Result<()> {
    let site = Site::new(&[])?;
    let mut random = Random::new(1);
    for _ in 0..300 {
        let mut stream = site.connect()?;
        let size = random.below(20_000) as usize;
        // The server may hang up in the middle.
        let _ = stream.write_all(&random.bytes(size));
    }
    site.serves_within(32 * MIB)
}

#[test]
fn garbage_behind_a_proper_header_is_answered_or_cut_off() -> Result<()> {
    let site = Site::new(&[])?;
    let mut random = Random::new(2);
    for xid in 0..2000 {
        let mut stream = site.connect()?;
        let mut message = call(xid, 1);
        let size = random.below(600) as usize;
        message.extend(random.bytes(size));
        stream.write_all(&record(&message))?;
        stream.shutdown(Shutdown::Write)?;
        read_to_the_end(&mut stream)?;
    }
    site.serves_within(32 * MIB)
}

#[test]
fn a_record_beyond_the_limit_ends_its_connection_before_it_takes_memory() -> Result<()> {
    let site = Site::new(&[])?;
    let mut in_one = site.connect()?;
    in_one.write_all(&last_fragment(0x7fff_ffff))?;
    feed_until_cut_off(&mut in_one, &vec![7; 65536])?;

    let mut in_fragments = site.connect()?;
    let mut fragment = 65536_u32.to_be_bytes().to_vec();
    fragment.resize(4 + 65536, 7);
    feed_until_cut_off(&mut in_fragments, &fragment)?;
    site.serves_within(32 * MIB)
}

#[test]
fn a_record_of_endless_empty_fragments_takes_no_memory() -> Result<()> {
    let site = Site::new(&[])?;
    let mut stream = site.connect()?;
    let mut sent = 0;
    let empty = vec![0; 1 << 20];
    while sent < 64 * MIB {
        match stream.write(&empty) {
            Ok(0) | Err(_) => break,
            Ok(size) => sent += size as u64,
        }
    }
    site.serves_within(32 * MIB)
}

#[test]
fn a_record_sent_half_is_given_up_after_its_time() -> Result<()> {
    let site = Site::new(&["nfs.record_timeout=1"])?;
    let mut streams = Vec::new();
    for _ in 0..300 {
        let mut stream = site.connect()?;
        stream.write_all(&last_fragment(1_000_000))?;
        stream.write_all(&[0; 1000])?;
        streams.push(stream);
    }
    site.serves_within(64 * MIB)?;
    for stream in &mut streams {
        read_to_the_end(stream).context("a half record is waited for, for ever")?;
    }
    Ok(())
}

#[test]
fn endless_slow_senders_hold_up_nobody() -> Result<()> {
    let site = Site::new(&["nfs.record_timeout=2"])?;
    let mut streams = (0..300)
        .map(|_| site.connect())
        .collect::<Result<Vec<_>>>()?;
    for stream in &mut streams {
        stream.write_all(&last_fragment(1_000_000))?;
    }
    for _ in 0..20 {
        for stream in &mut streams {
            // Cut off is as good as waited for.
            let _ = stream.write_all(&[0]);
        }
        site.answers()?;
        std::thread::sleep(Duration::from_millis(150));
    }
    for stream in &mut streams {
        read_to_the_end(stream).context("a byte now and then keeps a record alive for ever")?;
    }
    site.serves_within(64 * MIB)
}

#[test]
fn a_client_that_takes_no_replies_is_not_read_any_more() -> Result<()> {
    let site = Site::new(&[])?;
    let mut stream = site.connect()?;
    stream.set_write_timeout(Some(Duration::from_secs(2)))?;
    let calls: Vec<u8> = (0..10_000).flat_map(|xid| record(&call(xid, 0))).collect();
    let mut sent = 0;
    while sent < 1024 * MIB {
        match stream.write(&calls) {
            Ok(size) if size > 0 => sent += size as u64,
            _ => break,
        }
    }
    ensure!(
        sent < 1024 * MIB,
        "the server took {sent} bytes of calls while no reply was taken"
    );
    site.serves_within(64 * MIB)
}

#[test]
fn ten_thousand_idle_connections_are_held_and_let_go() -> Result<()> {
    const IDLE: usize = 10_000;
    allow_open_files(IDLE as u64 + 1000)?;
    let site = Site::new(&[])?;
    let streams = (0..IDLE)
        .map(|_| site.connect())
        .collect::<Result<Vec<_>>>()?;
    site.wait_for_connections(|count| count >= IDLE as f64)?;
    site.serves_within(256 * MIB)?;
    drop(streams);
    site.wait_for_connections(|count| count < 10.0)?;
    site.answers()
}

#[test]
fn connections_beyond_the_limit_are_refused_and_the_others_go_on() -> Result<()> {
    let site = Site::new(&["nfs.max_connections=20"])?;
    let mut held = Vec::new();
    for xid in 0..20 {
        let mut stream = site.connect()?;
        ask_nothing(&mut stream, xid)?;
        held.push(stream);
    }
    let mut refused = 0;
    for xid in 0..10 {
        let mut stream = site.connect()?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        refused += usize::from(ask_nothing(&mut stream, xid).is_err());
    }
    ensure!(
        refused == 10,
        "{refused} of 10 connections beyond the limit were refused"
    );
    for stream in &mut held {
        ask_nothing(stream, 99)?;
    }
    Ok(())
}

/// A server with a share in memory, and what it was before anybody came.
struct Site {
    server: Dittofs,
    address: SocketAddr,
    resident: u64,
}

impl Site {
    fn new(settings: &[&str]) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut arguments = vec![
            "--share".to_owned(),
            "/export=memory,clients=127.0.0.0/8".to_owned(),
            "--set".to_owned(),
            format!("nfs.listen={address}"),
        ];
        for setting in settings {
            arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
        }
        let server = Dittofs::start(arguments)?;
        let mut site = Self {
            server,
            address,
            resident: 0,
        };
        site.answers()?;
        site.resident = site.server.resident()?;
        Ok(site)
    }

    fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn answers(&self) -> Result<()> {
        ask_nothing(&mut self.connect()?, 1).context("the server does not answer any more")
    }

    /// It answers, has complained of no panic, and has grown by no more than `growth` bytes.
    fn serves_within(&self, growth: u64) -> Result<()> {
        self.answers()?;
        let log = self.server.log();
        ensure!(!log.contains("panicked"), "{log}");
        let resident = self.server.resident()?;
        ensure!(
            resident <= self.resident + growth,
            "grew from {} MiB to {} MiB",
            self.resident / MIB,
            resident / MIB
        );
        Ok(())
    }

    fn wait_for_connections(&self, enough: impl Fn(f64) -> bool) -> Result<()> {
        let start = Instant::now();
        loop {
            let metrics = self.server.metrics()?;
            let count = metrics.lines().find_map(|line| {
                let value = line.strip_prefix("dittofs_nfs_active_connections")?;
                value.rsplit(' ').next()?.parse().ok()
            });
            let count = count.context("no dittofs_nfs_active_connections")?;
            if enough(count) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "{count} connections");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The NULL procedure, and its reply.
fn ask_nothing(stream: &mut TcpStream, xid: u32) -> Result<()> {
    stream.write_all(&record(&call(xid, 0)))?;
    let mut reply = [0; 28];
    stream.read_exact(&mut reply)?;
    // REPLY, accepted, no verifier, SUCCESS (RFC 5531 §9).
    let words = [LAST_FRAGMENT + 24, xid, 1, 0, 0, 0, 0];
    ensure!(
        reply.to_vec() == words.map(u32::to_be_bytes).concat(),
        "reply {reply:?}"
    );
    Ok(())
}

/// An RPC call header for NFSv4 with AUTH_NONE (RFC 5531 §9).
fn call(xid: u32, procedure: u32) -> Vec<u8> {
    [xid, 0, 2, 100_003, 4, procedure, 0, 0, 0, 0]
        .map(u32::to_be_bytes)
        .concat()
}

/// The record mark of a record that is one fragment (RFC 5531 §11).
fn last_fragment(size: u32) -> [u8; 4] {
    (LAST_FRAGMENT | size).to_be_bytes()
}

fn record(message: &[u8]) -> Vec<u8> {
    let mut record = (LAST_FRAGMENT | message.len() as u32)
        .to_be_bytes()
        .to_vec();
    record.extend(message);
    record
}

/// Whatever comes, until the server closes; silence is an error.
fn read_to_the_end(stream: &mut TcpStream) -> Result<()> {
    let mut sink = Vec::new();
    match stream.read_to_end(&mut sink) {
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            bail!("still open after {PATIENCE:?}")
        }
        _ => Ok(()),
    }
}

fn feed_until_cut_off(stream: &mut TcpStream, piece: &[u8]) -> Result<()> {
    for _ in 0..10_000 {
        match stream.write(piece) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("neither read nor closed")
            }
            Err(_) => return Ok(()),
        }
    }
    bail!(
        "swallowed {} MiB of one record",
        piece.len() * 10_000 / MIB as usize
    )
}

/// For this process and the server that it starts.
fn allow_open_files(count: u64) -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        limit.current = Some(count);
        limit.maximum = limit.maximum.map(|maximum| maximum.max(count));
        setrlimit(Resource::Nofile, limit)
            .with_context(|| format!("cannot have {count} open files"))?;
    }
    Ok(())
}
