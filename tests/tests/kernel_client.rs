//! The proof: an unmodified Linux kernel client mounts a share of the built `dittofs` and does a day's work on it.
//!
//! `DITTOFS_TEST_PEER=ganesha` runs the same work against an installed NFS-Ganesha, to test the tests.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dittofs_tests::dittofs::{binary, tool};
use dittofs_tests::kernel::{Server, Site};
use dittofs_tests::{Dittofs, tree};

#[test]
fn version_4_0_does_a_days_work() -> Result<()> {
    a_days_work("4.0")
}

#[test]
fn version_4_1_does_a_days_work() -> Result<()> {
    a_days_work("4.1")
}

#[test]
fn version_4_2_does_a_days_work() -> Result<()> {
    a_days_work("4.2")
}

#[test]
fn mounts_of_4_0_and_4_1_respect_each_others_locks() -> Result<()> {
    let site = Site::new(&[])?;
    site.run("both.sh", &[])?;
    site.server
        .finish(&["LOCK", "LOCKU", "SETCLIENTID", "EXCHANGE_ID"])
}

#[test]
fn one_mount_of_4_1_has_four_connections() -> Result<()> {
    let site = Site::new(&[])?;
    site.run("nconnect.sh", &[])?;
    site.server.finish(&["SEQUENCE", "CREATE_SESSION", "WRITE"])
}

#[test]
fn callbacks_find_their_way_after_a_connection_broke() -> Result<()> {
    let site = Site::new(&[])?;
    site.run("rebind.sh", &[])?;
    if let Server::Dittofs(server) = &site.server {
        let metrics = server.metrics()?;
        let both = "dittofs_nfs_connections_bind_total{direction=\"both\"} ";
        let bound = metrics.lines().find_map(|line| line.strip_prefix(both));
        let bound = bound.context(both)?.trim().parse::<f64>()?;
        ensure!((2.0..6.0).contains(&bound), "bound {bound} times");
    }
    site.server.finish(&["BIND_CONN_TO_SESSION"])
}

#[test]
fn mounts_of_all_versions_work_at_once_for_a_minute() -> Result<()> {
    let site = Site::new(&[])?;
    site.run("minute.sh", &[])?;
    let manifest = std::fs::read_to_string(site.scratch.path().join("busy.sha256"))?;
    ensure!(
        manifest.lines().count() > 20,
        "hardly anything was written:\n{manifest}"
    );
    for line in manifest.lines() {
        let (sum, path) = line.split_once("  ").context("a line of the manifest")?;
        let found = tree::checksum(&site.export.path().join(path))?;
        ensure!(found == sum, "{path} arrived changed");
    }
    site.server
        .finish(&["SEQUENCE", "SETCLIENTID", "WRITE", "RENAME"])
}

#[test]
fn a_mount_of_4_1_outlives_a_narrower_range_of_versions() -> Result<()> {
    let site = Site::new(&[])?;
    let Server::Dittofs(server) = &site.server else {
        return Ok(());
    };
    std::thread::scope(|scope| {
        let operator = scope.spawn(|| narrow_and_widen(server, site.scratch.path()));
        let ran = site.run("range.sh", &[]);
        // A client that gave up early must not leave the operator waiting.
        for step in ["held", "felt"] {
            std::fs::write(site.scratch.path().join(step), "")?;
        }
        let operated = operator.join().ok().context("the operator panicked")?;
        ran.and(operated)
    })?;
    let metrics = server.metrics()?;
    let refused = metrics
        .lines()
        .find_map(|line| line.strip_prefix("dittofs_nfs_minor_version_mismatch_total "));
    ensure!(
        refused.is_some_and(|count| count != "0"),
        "nothing was refused: {refused:?}"
    );
    let file = std::fs::read_to_string(site.export.path().join("file"))?;
    ensure!(file == "after\n", "{file:?}");
    site.server.finish(&["SEQUENCE", "WRITE"])
}

/// Serves 4.0 alone from when the client holds its mount until it has felt it.
fn narrow_and_widen(server: &Dittofs, shared: &Path) -> Result<()> {
    for (awaited, highest, done) in [("held", "0", "narrowed"), ("felt", "1", "widened")] {
        while !shared.join(awaited).exists() {
            std::thread::sleep(Duration::from_millis(100));
        }
        let update = ["adapter", "settings", "nfs", "update"];
        let output = Command::new(binary("dfsctl")?)
            .args(update)
            .args(["--v4-max-minor-version", highest])
            .env("DITTOFS_STATE_DIR", server.state_dir())
            .output()?;
        // Also when that failed: the client waits.
        std::fs::write(shared.join(done), "")?;
        ensure!(output.status.success(), "{output:?}");
    }
    Ok(())
}

#[test]
fn a_delegated_file_that_a_program_changes_on_the_server_is_seen_changed() -> Result<()> {
    let site = Site::new(&[])?;
    let Server::Dittofs(server) = &site.server else {
        return Ok(());
    };
    std::fs::write(site.export.path().join("read"), "before\n")?;
    std::thread::scope(|scope| {
        let program = scope.spawn(|| change_when_used(server, &site));
        let ran = site.run("behind.sh", &[]);
        // A client that gave up early must not leave the program waiting.
        std::fs::write(site.scratch.path().join("used"), "")?;
        let changed = program.join().ok().context("the program panicked")?;
        ran.and(changed)
    })?;
    let recalled = "dittofs_nfs_delegations_recalled_total";
    for kind in ["read", "write"] {
        let count = sum(&server.metrics()?, recalled, &[kind, "foreign_change"]);
        ensure!(count > 0.0, "no {kind} delegation was recalled");
    }
    site.server.finish(&["SEQUENCE", "DELEGRETURN"])
}

/// Changes both files once the client has delegations of them.
fn change_when_used(server: &Dittofs, site: &Site) -> Result<()> {
    let shared = site.scratch.path();
    while !shared.join("used").exists() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let metrics = server.metrics()?;
    for name in ["read", "written"] {
        std::fs::write(site.export.path().join(name), "after\n")?;
    }
    std::fs::write(shared.join("changed"), "")?;
    for kind in ["read", "write"] {
        let count = sum(&metrics, "dittofs_nfs_delegations_granted_total", &[kind]);
        ensure!(
            count > 0.0,
            "the client got no {kind} delegation:\n{metrics}"
        );
    }
    Ok(())
}

/// Sum over the series of one metric that have all these values among their labels.
fn sum(metrics: &str, name: &str, values: &[&str]) -> f64 {
    let wanted = |line: &&str| {
        line.starts_with(name)
            && values
                .iter()
                .all(|value| line.contains(&format!("\"{value}\"")))
    };
    let lines = metrics.lines().filter(wanted);
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

fn a_days_work(version: &str) -> Result<()> {
    let site = Site::new(&[])?;
    tree::plant(&site.scratch.path().join("tree"))?;
    let (pjdfstest, fsx) = (tool("pjdfstest")?, tool("fsx")?);
    let variables = [
        ("VERSION", version),
        ("PJDFSTEST", pjdfstest.to_str().context("path")?),
        ("FSX", fsx.to_str().context("path")?),
    ];
    site.run("day.sh", &variables)?;

    let planted = site.scratch.path().join("tree");
    same_trees(&planted, &site.quick.path().join("tree"))?;
    same_trees(&planted.join("d00"), &site.export.path().join("part"))?;
    let sum = std::fs::read_to_string(site.scratch.path().join("big.sha256"))?;
    ensure!(
        tree::checksum(&site.export.path().join("big"))? == sum,
        "1 GiB arrived changed"
    );

    let own = if version == "4.0" {
        ["SETCLIENTID", "OPEN_CONFIRM"]
    } else {
        ["SEQUENCE", "CREATE_SESSION"]
    };
    // Locks stay in the client as long as it has a delegation.
    let shared = [
        "COMMIT",
        "DELEGRETURN",
        "GETATTR",
        "LOOKUP",
        "OPEN",
        "READ",
        "READDIR",
        "RENAME",
        "WRITE",
    ];
    site.server.finish(&[&own[..], &shared].concat())
}

/// The copy, looked at on the server's side, is the tree that was planted.
fn same_trees(planted: &Path, copied: &Path) -> Result<()> {
    let (planted, copied) = (tree::inventory(planted)?, tree::inventory(copied)?);
    for (name, entry) in &planted {
        let copy = copied.get(name);
        ensure!(
            copy == Some(entry),
            "{}: {entry:?} became {copy:?}",
            name.display()
        );
    }
    ensure!(
        copied.len() == planted.len(),
        "the copy has more than the tree"
    );
    Ok(())
}
