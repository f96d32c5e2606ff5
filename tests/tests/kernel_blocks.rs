//! What users notice of NFSv4.2 in the content of files, on unmodified Linux machines: copies by the server.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};
use dittofs_tests::kernel::{LIMIT, Server, Site};
use dittofs_tests::tree;

const GIB: u64 = 1 << 30;

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
