//! A host that is killed and started again: its clients take back what they had, others wait for that, and an
//! operator sees it. By hand, because the Linux client reclaims when it likes.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use dittofs_tests::compound::Client;
use dittofs_tests::process::Process;
use dittofs_tests::session::Session;
use dittofs_tests::site::Site;
use serde_json::Value;

const GETFH: u32 = 10;
const LOCK: u32 = 12;
const LOOKUP: u32 = 15;
const OPEN: u32 = 18;
const PUTFH: u32 = 22;
const PUTROOTFH: u32 = 24;

const GRACE: u32 = 10_013;
const SHARE_DENIED: u32 = 10_015;
const NO_GRACE: u32 = 10_033;

/// Access and deny of the open that outlives the host.
const READ_AND_WRITE: u32 = 3;
const DENY_WRITE: u32 = 2;

struct World {
    site: Site,
    share: tempfile::TempDir,
}

impl World {
    fn new() -> Result<Self> {
        let site = Site::of("nfs")?;
        let share = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        Ok(Self { site, share })
    }

    fn serve(&self) -> Result<Process> {
        let share = format!("/export={},squash=none", self.share.path().display());
        self.site
            .serve(["--share", &share, "--set", "nfs.listen=127.0.0.1:0"])
    }

    fn session(&self, owner: &str) -> Result<Session> {
        let view = self.site.ask(&["adapter", "inspect", "nfs", "address"])?;
        let address = view.get("address").cloned().context("no address")?;
        let address: SocketAddr = serde_json::from_value(address)?;
        Session::new(Client::connect(address)?, owner)
    }

    /// Fields of what `dfsctl grace status` says.
    fn grace(&self) -> Result<(bool, u64, u64)> {
        let grace = self.site.ask(&["grace", "status"])?;
        let number = |field| {
            grace
                .get(field)
                .and_then(Value::as_u64)
                .context("no number")
        };
        let active = grace.get("active").and_then(Value::as_bool);
        Ok((
            active.context("no answer")?,
            number("expected_clients")?,
            number("reclaimed_clients")?,
        ))
    }
}

/// OPEN of the file by its name, created if need be; its handle.
fn open(session: &mut Session, deny: u32) -> Result<(u32, Vec<u8>)> {
    let (status, mut results) = session.run(|ops| {
        let ops = ops.op(PUTROOTFH).op(LOOKUP).opaque(b"export");
        let ops = ops.op(OPEN).words(&[0, READ_AND_WRITE, deny, 0, 0]);
        let ops = ops.opaque(b"owner").words(&[1, 0, 0, 0, 0]);
        ops.opaque(b"file")
    })?;
    if status != 0 {
        return Ok((status, Vec::new()));
    }
    for number in [PUTROOTFH, LOOKUP, OPEN] {
        ensure!(results.result(number)? == 0);
    }
    let (status, mut results) = session.run(|ops| {
        let ops = ops.op(PUTROOTFH).op(LOOKUP).opaque(b"export");
        ops.op(LOOKUP).opaque(b"file").op(GETFH)
    })?;
    for number in [PUTROOTFH, LOOKUP, LOOKUP, GETFH] {
        ensure!(results.result(number)? == 0);
    }
    Ok((status, results.opaque()?))
}

/// The open of before, and a lock under it.
fn reclaim(session: &mut Session, handle: &[u8]) -> Result<u32> {
    let (status, mut results) = session.run(|ops| {
        let ops = ops.op(PUTFH).opaque(handle).op(OPEN);
        let ops = ops.words(&[0, READ_AND_WRITE, DENY_WRITE, 0, 0]);
        ops.opaque(b"owner").words(&[0, 1, 0])
    })?;
    if status != 0 {
        return Ok(status);
    }
    for number in [PUTFH, OPEN] {
        ensure!(results.result(number)? == 0);
    }
    let mut stateid = [0; 4];
    for word in &mut stateid {
        *word = results.word()?;
    }
    let (status, _) = session.run(|ops| {
        // WRITE_LT, reclaimed, all of the file, by a new owner.
        let ops = ops.op(PUTFH).opaque(handle).op(LOCK);
        let ops = ops.words(&[2, 1, 0, 0, u32::MAX, u32::MAX, 1, 0]);
        ops.words(&stateid).words(&[0, 0, 0]).opaque(b"locker")
    })?;
    Ok(status)
}

#[test]
fn clients_take_back_what_they_had_when_the_host_was_killed() -> Result<()> {
    let world = World::new()?;
    let mut host = world.serve()?;
    ensure!(!world.grace()?.0, "nobody is on record");
    let mut mine = world.session("mine")?;
    mine.reclaim_complete()?;
    let (status, handle) = open(&mut mine, DENY_WRITE)?;
    ensure!(status == 0, "OPEN: {status}");
    host.kill();

    let mut host = world.serve()?;
    ensure!(world.grace()? == (true, 1, 0));
    let mut other = world.session("other")?;
    ensure!(reclaim(&mut other, &handle)? == NO_GRACE);
    other.reclaim_complete()?;
    ensure!(open(&mut other, 0)?.0 == GRACE);
    let mut mine = world.session("mine")?;
    ensure!(reclaim(&mut mine, &handle)? == 0);
    mine.reclaim_complete()?;
    ensure!(!world.grace()?.0, "all have what they had");
    ensure!(open(&mut other, 0)?.0 == SHARE_DENIED);

    let clients = world.site.ask(&["client", "list", "--protocol", "nfs"])?;
    let clients = clients.as_array().context("no list")?;
    let owner = |client: &&Value| client.get("owner").and_then(Value::as_str) == Some("mine");
    let shown = clients.iter().find(owner).context("not listed")?;
    let opens = shown.get("opens").and_then(Value::as_u64);
    ensure!(opens == Some(1), "{shown}");
    let id = shown.get("client_id").and_then(Value::as_str);
    let id = id.context("no number")?;
    let gone = world.site.dfsctl(["client", "disconnect", id])?;
    ensure!(gone.code == Some(0), "{gone:?}");
    ensure!(open(&mut other, 0)?.0 == 0, "nothing stands against it now");
    let unknown = world.site.dfsctl(["client", "disconnect", "0"])?;
    ensure!(unknown.code != Some(0), "{unknown:?}");
    host.kill();

    // Who was evicted may not take back what somebody else may have had.
    let _host = world.serve()?;
    let mut mine = world.session("mine")?;
    ensure!(reclaim(&mut mine, &handle)? == NO_GRACE);
    ensure!(world.grace()? == (true, 1, 0), "the other one may");
    let end = world.site.dfsctl(["grace", "end"])?;
    ensure!(end.code == Some(0), "{end:?}");
    ensure!(!world.grace()?.0);
    mine.reclaim_complete()?;
    ensure!(open(&mut mine, 0)?.0 == 0);
    let none = world.site.dfsctl(["grace", "end"])?;
    ensure!(none.code != Some(0), "{none:?}");
    Ok(())
}
