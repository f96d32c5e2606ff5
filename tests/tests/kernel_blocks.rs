//! What users notice of NFSv4.2 in the content of files, on unmodified Linux machines: reflinks, copies by the server, holes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dittofs_tests::dittofs::tool;
use dittofs_tests::kernel::{LIMIT, Server, Site};
use dittofs_tests::tree;
use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Those of the file systems in images that share blocks.
const CLONING: [&str; 2] = ["xfs", "btrfs"];
const GIB: u64 = 1 << 30;

#[test]
fn files_share_blocks_where_the_file_system_can() -> Result<()> {
    let Some(site) = Site::with_images(&CLONING, &[])? else {
        return Ok(());
    };
    let mut cloning = CLONING.join(" ");
    if shares_blocks(site.export.path())? {
        cloning.push_str(" export");
    }
    let variables = [
        ("VERSION", "4.2"),
        ("SHARES", "xfs btrfs export quick"),
        ("CLONING", cloning.as_str()),
        ("WORK", "clones"),
    ];
    site.run("work.sh", &variables)?;
    for image in &site.images {
        let [source, clone] =
            ["source", "clone"].map(|name| image.path().join("clones").join(name));
        for file in [source, clone] {
            let extents = run("/usr/sbin/filefrag", &["-v"], &file)?;
            ensure!(
                extents.contains("shared"),
                "{file:?} shares nothing:\n{extents}"
            );
        }
    }
    site.server.finish(&["CLONE", "COPY"])
}

/// Whether `cp --reflink` works in a directory of this machine.
fn shares_blocks(directory: &Path) -> Result<bool> {
    let [one, other] = ["one", "other"].map(|name| directory.join(name));
    std::fs::write(&one, [1; 4096])?;
    let copied = Command::new("cp")
        .arg("--reflink=always")
        .args([&one, &other])
        .output()?;
    for file in [one, other] {
        // The second is there only if it worked.
        let _ = std::fs::remove_file(file);
    }
    Ok(copied.status.success())
}

#[test]
fn room_is_allocated_and_given_back_and_holes_are_found() -> Result<()> {
    let site = Site::new(&[])?;
    let variables = [("VERSION", "4.2"), ("SHARES", "export"), ("WORK", "space")];
    site.run("work.sh", &variables)?;
    let maps = std::fs::read_to_string(site.scratch.path().join("maps.json"))?;
    let maps: BTreeMap<String, Map> = serde_json::from_str(&maps)?;
    ensure!(maps.len() > 10, "{} files", maps.len());
    for (name, map) in &maps {
        let file = File::open(site.export.path().join("seek").join(name))?;
        for (offset, [data, hole]) in &map.asked {
            let truth =
                [SeekFrom::Data(*offset), SeekFrom::Hole(*offset)].map(|to| seek(&file, to));
            let [data_on_server, hole_on_server] = truth;
            ensure!(
                *data == data_on_server? && *hole == hole_on_server?,
                "{name}: from {offset} on data is at {data:?}, a hole at {hole:?}"
            );
        }
        let mut at = 0;
        for (start, end) in &map.runs {
            let found = seek(&file, SeekFrom::Data(at))?;
            ensure!(
                found == Some(*start),
                "{name}: data after {at} at {found:?}"
            );
            let found = seek(&file, SeekFrom::Hole(*start))?;
            ensure!(
                found == Some(*end),
                "{name}: a hole after {start} at {found:?}"
            );
            at = *end;
        }
        ensure!(
            seek(&file, SeekFrom::Data(at))?.is_none(),
            "{name}: more after {at}"
        );
    }
    site.server.finish(&["ALLOCATE", "DEALLOCATE", "SEEK"])
}

/// Where a client found data and holes in a file.
#[derive(serde::Deserialize)]
struct Map {
    runs: Vec<(u64, u64)>,
    /// By offset, what comes after it: data, and a hole.
    asked: BTreeMap<u64, [Option<u64>; 2]>,
}

fn seek(file: &File, to: SeekFrom) -> Result<Option<u64>> {
    match rustix::fs::seek(file, to) {
        Ok(offset) => Ok(Some(offset)),
        Err(Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[test]
fn the_server_copies() -> Result<()> {
    // A client whose connection broke makes another one when it renews its lease.
    let site = Site::new(&["nfs.lease_time=10"])?;
    let big = site.export.path().join("big");
    plant_data(&big, GIB)?;
    let variables = [
        ("VERSION", "4.2"),
        ("SHARES", "export quick"),
        ("WORK", "copies"),
    ];
    site.run("work.sh", &variables)?;
    let sum = tree::checksum(&big)?;
    for copy in ["copy", "reconnected"] {
        let found = tree::checksum(&site.export.path().join(copy))?;
        ensure!(found == sum, "{copy} differs");
    }
    site.server.finish(&["COPY", "OFFLOAD_CANCEL"])
}

#[test]
fn nobody_reads_the_holes_of_100_gib() -> Result<()> {
    let site = Site::new(&[])?;
    let sparse = site.export.path().join("sparse");
    plant_islands(&sparse, 100 * GIB)?;
    let variables = [("VERSION", "4.2"), ("SHARES", "export"), ("WORK", "sparse")];
    site.run("work.sh", &variables)?;
    for copy in ["sparse-cp", "sparse-whole"] {
        let copy = site.export.path().join(copy);
        let room = std::fs::metadata(&copy)?.blocks() * 512;
        ensure!(room < 64 << 20, "{copy:?} takes {room} bytes");
        same_islands(&sparse, &copy)?;
    }
    site.server.finish(&["COPY", "SEEK"])
}

#[test]
fn a_copy_outlives_a_power_cut_of_the_server_or_fails() -> Result<()> {
    let mut site = Site::new(&["nfs.lease_time=10"])?;
    let big = site.export.path().join("big");
    plant_data(&big, GIB)?;
    let mut machine = site.boot(0, "restarted.sh", &[])?;
    site.await_signal("copying", &mut [&mut machine])?;
    if let Server::Dittofs(server) = &mut site.server {
        server.crash_and_restart()?;
    }
    site.signal("restarted")?;
    site.ends_well(machine, LIMIT)?;
    let status = std::fs::read_to_string(site.scratch.path().join("copied"))?;
    if status.trim() == "0" {
        let copied = tree::checksum(&site.export.path().join("restarted"))?;
        ensure!(
            copied == tree::checksum(&big)?,
            "told that all was well, and it is not"
        );
    }
    site.server.finish(&["COPY"])
}

/// A file of data that no two of its blocks have in common.
fn plant_data(path: &Path, size: u64) -> Result<()> {
    let mut file = File::create(path)?;
    let mut chunk: Vec<u8> = (0..1_u32 << 18)
        .flat_map(|word| word.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    for number in 0..size / chunk.len() as u64 {
        for block in chunk.chunks_exact_mut(4096) {
            block
                .iter_mut()
                .zip(number.to_le_bytes())
                .for_each(|(to, byte)| *to = byte);
        }
        file.write_all(&chunk)?;
    }
    Ok(file.sync_all()?)
}

/// A hole with a few islands of data, the last one at its end.
fn plant_islands(path: &Path, size: u64) -> Result<()> {
    let file = File::create(path)?;
    for start in ISLANDS {
        let at = start.min(size - ISLAND);
        file.write_all_at(&island(at), at)?;
    }
    Ok(file.sync_all()?)
}

const ISLANDS: [u64; 4] = [0, 10 * GIB + (1 << 20), 55 * GIB, u64::MAX];
const ISLAND: u64 = 1 << 20;

fn island(at: u64) -> Vec<u8> {
    (0..ISLAND / 8)
        .flat_map(|word| (at + word * 8).to_le_bytes())
        .collect()
}

/// The islands are there, and nothing else is.
fn same_islands(source: &Path, copy: &Path) -> Result<()> {
    let (source, copy) = (File::open(source)?, File::open(copy)?);
    let size = source.metadata()?.len();
    ensure!(copy.metadata()?.len() == size, "another size");
    let mut at = 0;
    while let Some(start) = seek(&copy, SeekFrom::Data(at))? {
        let end = seek(&copy, SeekFrom::Hole(start))?.context("the end")?;
        let [mut ours, mut theirs] = [0; 2].map(|_: u8| vec![0; (end - start) as usize]);
        source.read_exact_at(&mut ours, start)?;
        copy.read_exact_at(&mut theirs, start)?;
        ensure!(ours == theirs, "between {start} and {end} it differs");
        at = end;
    }
    for start in ISLANDS {
        let at = start.min(size - ISLAND);
        let mut found = vec![0; ISLAND as usize];
        copy.read_exact_at(&mut found, at)?;
        ensure!(found == island(at), "the island at {at} is lost");
    }
    Ok(())
}

#[test]
fn fsx_finds_no_difference() -> Result<()> {
    let Some(site) = Site::with_images(&["xfs"], &[])? else {
        return Ok(());
    };
    let fsx = tool("fsx")?;
    let variables = [
        ("FSX", fsx.to_str().context("path")?),
        ("SHARES", "quick xfs"),
        ("CLONING", "xfs"),
    ];
    // 200,000 operations, most of which are requests.
    let machine = site.boot(0, "fsx.sh", &variables)?;
    site.ends_well(machine, 2 * LIMIT)?;
    site.server
        .finish(&["ALLOCATE", "DEALLOCATE", "COPY", "CLONE"])
}

/// What a program says of a file.
fn run(program: &str, arguments: &[&str], file: &Path) -> Result<String> {
    let output = Command::new(program).args(arguments).arg(file).output();
    let output = output.with_context(|| program.to_owned())?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{program} {arguments:?} {}: {said}",
        file.display()
    );
    Ok(String::from_utf8(output.stdout)?)
}
