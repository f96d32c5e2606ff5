//! Named attributes in a real host: what a client stores is on the disk, as extended attributes
//! that other programs see. The Linux client has no named attributes, so that this one is ours.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use dittofs_tests::compound::Client;
use dittofs_tests::operations::{Operations, Results};
use dittofs_tests::process::Process;
use dittofs_tests::site::{PATIENCE, Site};
use rustix::fs::{XattrFlags, getxattr, listxattr, setxattr};

const GETATTR: u32 = 9;
const GETFH: u32 = 10;
const LOOKUP: u32 = 15;
const OPEN: u32 = 18;
const OPENATTR: u32 = 19;
const PUTFH: u32 = 22;
const PUTROOTFH: u32 = 24;
const READ: u32 = 25;
const READDIR: u32 = 26;
const REMOVE: u32 = 28;
const SETCLIENTID: u32 = 35;
const SETCLIENTID_CONFIRM: u32 = 36;
const WRITE: u32 = 38;

const NOENT: u32 = 2;
const FBIG: u32 = 27;
const STALE: u32 = 70;

/// Its share is on the disk that the build is on, as those of most users are.
struct Setting {
    site: Site,
    share: tempfile::TempDir,
}

impl Setting {
    fn new() -> Result<Self> {
        let share = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        fs::write(share.path().join("file"), "content")?;
        fs::create_dir(share.path().join("dir"))?;
        let site = Site::of("nfs")?;
        Ok(Self { site, share })
    }

    fn serve(&self) -> Result<(Process, Client)> {
        let share = format!("/export={},squash=none", self.share.path().display());
        let listen = ["--share", &share, "--set", "nfs.listen=127.0.0.1:0"];
        let host = self.site.serve(listen)?;
        let view = self.site.ask(&["adapter", "inspect", "nfs", "address"])?;
        let address = view.get("address").cloned().context("no address")?;
        let address: SocketAddr = serde_json::from_value(address)?;
        Ok((host, Client::connect(address)?))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.share.path().join(name)
    }
}

/// The extended attributes as other programs see them: names, and one value.
fn names(path: &Path) -> Result<Vec<String>> {
    let mut list = vec![0; 65_536];
    let length = listxattr(path, &mut list[..])?;
    list.truncate(length);
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let mut names = names
        .map(|name| Ok(String::from_utf8(name.to_vec())?))
        .collect::<Result<Vec<_>>>()?;
    names.retain(|name| name.starts_with("user."));
    names.sort();
    Ok(names)
}

fn value(path: &Path, name: &str) -> Result<Vec<u8>> {
    let mut value = vec![0; 65_536];
    let length = getxattr(path, name, &mut value[..])?;
    value.truncate(length);
    Ok(value)
}

fn attributes(of: &str, create: bool) -> Operations {
    let object = Operations::default().op(PUTROOTFH);
    let object = object.op(LOOKUP).opaque(b"export").op(LOOKUP);
    object
        .opaque(of.as_bytes())
        .op(OPENATTR)
        .words(&[u32::from(create)])
}

/// Number of a confirmed client.
fn introduce(client: &mut Client) -> Result<[u32; 2]> {
    let hello = Operations::default().op(SETCLIENTID).words(&[1, 2]);
    let hello = hello.opaque(b"test").words(&[0x4000_0000]);
    let hello = hello.opaque(b"tcp").opaque(b"127.0.0.1.8.1").words(&[1]);
    let (_, mut results) = client.run(0, &hello)?;
    ensure!(results.result(SETCLIENTID)? == 0);
    let id = [results.word()?, results.word()?];
    let confirm = Operations::default().op(SETCLIENTID_CONFIRM);
    let confirm = confirm.words(&id);
    let confirm = confirm.words(&[results.word()?, results.word()?]);
    ensure!(client.run(0, &confirm)?.0 == 0);
    Ok(id)
}

/// Passes over results without bodies.
fn pass(results: &mut Results, numbers: &[u32]) -> Result<()> {
    for number in numbers {
        ensure!(results.result(*number)? == 0, "operation {number}");
    }
    Ok(())
}

/// The handle of the attribute `name` of `of`, made by an OPEN of an owner of its own.
fn create(client: &mut Client, id: [u32; 2], of: &str, name: &[u8]) -> Result<Vec<u8>> {
    // For both, denying nobody; UNCHECKED4 without attributes; CLAIM_NULL.
    let open = attributes(of, true).op(OPEN).words(&[0, 3, 0]).words(&id);
    let owner = [of.as_bytes(), name].concat();
    let open = open.opaque(&owner).words(&[1, 0, 0, 0, 0]);
    let (status, _) = client.run(0, &open.opaque(name))?;
    ensure!(status == 0, "OPEN: {status}");
    let find = attributes(of, false).op(LOOKUP).opaque(name).op(GETFH);
    let (status, mut results) = client.run(0, &find)?;
    ensure!(status == 0, "LOOKUP: {status}");
    let way = [PUTROOTFH, LOOKUP, LOOKUP, OPENATTR, LOOKUP, GETFH];
    pass(&mut results, &way)?;
    results.opaque()
}

fn at(handle: &[u8]) -> Operations {
    Operations::default().op(PUTFH).opaque(handle)
}

fn write(client: &mut Client, handle: &[u8], offset: u32, data: &[u8]) -> Result<u32> {
    let write = at(handle).op(WRITE).words(&[0, 0, 0, 0, 0, offset, 2]);
    Ok(client.run(0, &write.opaque(data))?.0)
}

fn read(client: &mut Client, handle: &[u8]) -> Result<Vec<u8>> {
    // By the stateid that asks nobody: after a restart no other reads before all have reclaimed.
    const BYPASS: u32 = u32::MAX;
    let read = at(handle).op(READ);
    let read = read.words(&[BYPASS, BYPASS, BYPASS, BYPASS, 0, 0, 65_536]);
    let (status, mut results) = client.run(0, &read)?;
    ensure!(status == 0, "READ: {status}");
    pass(&mut results, &[PUTFH, READ])?;
    ensure!(results.word()? == 1, "not all of it");
    results.opaque()
}

fn listed(client: &mut Client, of: &str) -> Result<Vec<String>> {
    let list = attributes(of, false).op(READDIR);
    let list = list.words(&[0, 0, 0, 0, 0, 8192, 0]);
    let (status, mut results) = client.run(0, &list)?;
    ensure!(status == 0, "READDIR: {status}");
    let way = [PUTROOTFH, LOOKUP, LOOKUP, OPENATTR, READDIR];
    pass(&mut results, &way)?;
    results.long()?;
    let mut names = Vec::new();
    while results.word()? == 1 {
        results.long()?;
        names.push(String::from_utf8(results.opaque()?)?);
        // No attributes, no values.
        ensure!([results.word()?, results.word()?] == [0, 0]);
    }
    names.sort();
    Ok(names)
}

/// Whether the object says that it has named attributes.
fn has_any(client: &mut Client, of: &str) -> Result<bool> {
    let look = Operations::default().op(PUTROOTFH);
    let look = look.op(LOOKUP).opaque(b"export").op(LOOKUP);
    let look = look.opaque(of.as_bytes()).op(GETATTR).words(&[1, 1 << 7]);
    let (_, mut results) = client.run(0, &look)?;
    pass(&mut results, &[PUTROOTFH, LOOKUP, LOOKUP, GETATTR])?;
    ensure!([results.word()?, results.word()?, results.word()?] == [1, 1 << 7, 4]);
    Ok(results.word()? == 1)
}

#[test]
fn named_attributes_are_extended_attributes_on_the_disk() -> Result<()> {
    const FINDER: &str = "com.apple.FinderInfo";
    let setting = Setting::new()?;
    let (mut host, mut client) = setting.serve()?;
    let id = introduce(&mut client)?;
    let mut handles = Vec::new();
    for of in ["file", "dir"] {
        let path = setting.path(of);
        ensure!(!has_any(&mut client, of)?);
        ensure!(client.run(0, &attributes(of, false))?.0 == NOENT);
        let handle = create(&mut client, id, of, FINDER.as_bytes())?;
        ensure!(names(&path)? == [format!("user.{FINDER}")]);
        ensure!(value(&path, &format!("user.{FINDER}"))?.is_empty());
        ensure!(write(&mut client, &handle, 4, b"info")? == 0);
        ensure!(value(&path, &format!("user.{FINDER}"))? == b"\0\0\0\0info");
        ensure!(write(&mut client, &handle, 65_536, b"x")? == FBIG);
        // What another program sets is seen at once.
        setxattr(&path, "user.note", b"of old", XattrFlags::CREATE)?;
        ensure!(listed(&mut client, of)? == [FINDER, "note"]);
        ensure!(has_any(&mut client, of)?);
        let gone = create(&mut client, id, of, b"gone")?;
        let remove = attributes(of, true).op(REMOVE).opaque(b"gone");
        ensure!(client.run(0, &remove)?.0 == 0);
        ensure!(names(&path)? == [format!("user.{FINDER}").as_str(), "user.note"]);
        ensure!(write(&mut client, &gone, 0, b"x")? == STALE);
        handles.push(handle);
    }

    host.terminate(PATIENCE)?;
    let (_host, mut client) = setting.serve()?;
    for (of, handle) in ["file", "dir"].into_iter().zip(handles) {
        ensure!(read(&mut client, &handle)? == b"\0\0\0\0info");
        ensure!(listed(&mut client, of)? == [FINDER, "note"]);
    }
    Ok(())
}
