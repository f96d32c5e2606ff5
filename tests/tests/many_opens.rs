//! More open files than the host has descriptors: all can be used, and others are served meanwhile.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use dittofs_tests::compound::Client;
use dittofs_tests::operations::{Operations, Results};
use dittofs_tests::session::Session;
use dittofs_tests::site::Site;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::CapabilitySet;

const GETFH: u32 = 10;
const LOOKUP: u32 = 15;
const OPEN: u32 = 18;
const PUTFH: u32 = 22;
const PUTROOTFH: u32 = 24;
const READ: u32 = 25;
const REMOVE: u32 = 28;
const WRITE: u32 = 38;

/// What the host may have.
const DESCRIPTORS: u64 = 400;
const OPENS: usize = 1000;

struct Open {
    handle: Vec<u8>,
    stateid: [u32; 4],
}

/// So that a host that is started from here has no more descriptors, and can't get more.
fn be_limited() -> Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(DESCRIPTORS);
    limit.maximum = Some(DESCRIPTORS);
    setrlimit(Resource::Nofile, limit)?;
    rustix::thread::remove_capability_from_bounding_set(CapabilitySet::SYS_RESOURCE)?;
    Ok(())
}

fn connect(site: &Site, owner: &str) -> Result<Session> {
    let view = site.ask(&["adapter", "inspect", "nfs", "address"])?;
    let address = view.get("address").cloned().context("no address")?;
    let address: SocketAddr = serde_json::from_value(address)?;
    let mut session = Session::new(Client::connect(address)?, owner)?;
    session.reclaim_complete()?;
    Ok(session)
}

/// What all of `operations` answer, the last one's status included.
fn run(
    session: &mut Session,
    numbers: &[u32],
    operations: impl FnOnce(Operations) -> Operations,
) -> Result<Results> {
    let (status, mut results) = session.run(operations)?;
    ensure!(status == 0, "{numbers:?}: {status}");
    let (last, others) = numbers.split_last().context("nothing to do")?;
    for number in others {
        ensure!(results.result(*number)? == 0);
    }
    ensure!(results.result(*last)? == 0);
    Ok(results)
}

fn share(operations: Operations) -> Operations {
    operations.op(PUTROOTFH).op(LOOKUP).opaque(b"export")
}

fn open(session: &mut Session, name: &str) -> Result<Open> {
    let mut results = run(session, &[PUTROOTFH, LOOKUP, OPEN], |ops| {
        // To read and to write, denying nothing; created unchecked, without attributes.
        let ops = share(ops).op(OPEN).words(&[0, 3, 0, 0, 0]).opaque(b"owner");
        ops.words(&[1, 0, 0, 0, 0]).opaque(name.as_bytes())
    })?;
    let mut stateid = [0; 4];
    for word in &mut stateid {
        *word = results.word()?;
    }
    let handle = look_up(session, name)?;
    Ok(Open { handle, stateid })
}

fn look_up(session: &mut Session, name: &str) -> Result<Vec<u8>> {
    let numbers = [PUTROOTFH, LOOKUP, LOOKUP, GETFH];
    let mut results = run(session, &numbers, |ops| {
        share(ops).op(LOOKUP).opaque(name.as_bytes()).op(GETFH)
    })?;
    results.opaque()
}

fn write(session: &mut Session, open: &Open, text: &str) -> Result<()> {
    run(session, &[PUTFH, WRITE], |ops| {
        let ops = ops.op(PUTFH).opaque(&open.handle).op(WRITE);
        ops.words(&open.stateid)
            .words(&[0, 0, 2])
            .opaque(text.as_bytes())
    })
    .map(drop)
}

fn read(session: &mut Session, open: &Open) -> Result<String> {
    let mut results = run(session, &[PUTFH, READ], |ops| {
        let ops = ops.op(PUTFH).opaque(&open.handle).op(READ);
        ops.words(&open.stateid).words(&[0, 0, 100])
    })?;
    ensure!(results.word()? == 1, "not the end");
    Ok(String::from_utf8(results.opaque()?)?)
}

fn metric(site: &Site, name: &str) -> Result<f64> {
    let run = fs::read_to_string(site.state().join("run.json"))?;
    let run: serde_json::Value = serde_json::from_str(&run)?;
    let address = run.get("metrics").and_then(serde_json::Value::as_str);
    let url = format!("http://{}/metrics", address.context("no address")?);
    let text = ureq::get(&url).call()?.body_mut().read_to_string()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.context("no such metric")?.trim().parse()?)
}

#[test]
fn more_files_are_open_than_the_host_has_descriptors() -> Result<()> {
    be_limited()?;
    let place = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
    let site = Site::of("nfs")?;
    let export = format!("/export={},squash=none", place.path().display());
    let host = site.serve(["--share", &export, "--set", "nfs.listen=127.0.0.1:0"])?;
    let mut mine = connect(&site, "mine")?;
    let mut opens = Vec::new();
    for number in 0..OPENS {
        let open = open(&mut mine, &format!("file-{number}"))?;
        write(&mut mine, &open, &number.to_string())?;
        opens.push(open);
    }
    let mut other = connect(&site, "other")?;
    for name in ["file-0", "file-1"] {
        run(&mut other, &[PUTROOTFH, LOOKUP, REMOVE], |ops| {
            share(ops).op(REMOVE).opaque(name.as_bytes())
        })?;
    }
    for round in 0..2 {
        for (number, open) in opens.iter().enumerate() {
            let found = read(&mut mine, open)?;
            ensure!(found == number.to_string(), "{round}: {number} has {found}");
        }
        look_up(&mut connect(&site, &format!("another {round}"))?, "file-7")?;
    }
    let reopens = metric(&site, "dittofs_open_file_reopens_total ")?;
    let closes = metric(&site, "dittofs_open_file_closes_total ")?;
    ensure!(
        reopens >= OPENS as f64 && closes > reopens,
        "{reopens} of {closes}"
    );
    ensure!(metric(&site, "process_open_fds ")? < DESCRIPTORS as f64);
    let said = host.log().matches("more files open than").count();
    ensure!(said == 1, "said {said} times");
    Ok(())
}
