//! Two unmodified Linux machines at once, power cuts of either side, and what the server owes them then.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use dittofs_tests::kernel::{LIMIT, Server, Site};

/// How long two machines fight in all, in seconds; another number to look closer, or to be done sooner.
fn fight_seconds() -> u64 {
    std::env::var("DITTOFS_TEST_FIGHT_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(600)
}

#[test]
fn what_a_dead_machine_held_is_free_after_its_lease() -> Result<()> {
    for version in ["4.0", "4.1"] {
        let site = Site::new(&["nfs.lease_time=10"])?;
        let variables = [("VERSION", version)];
        let mut holder = site.boot(0, "lease.sh", &variables)?;
        let mut contender = site.boot(1, "lease.sh", &variables)?;
        site.await_signal("contending", &mut [&mut holder, &mut contender])?;
        drop(holder);
        site.signal("killed")?;
        site.ends_well(contender, LIMIT)?;
        site.server.finish(&["LOCK", "LOCKU"])?;
    }
    Ok(())
}

#[test]
fn a_machine_that_waits_for_a_lock_is_called_and_answers() -> Result<()> {
    let site = Site::new(&[])?;
    let holder = site.boot(0, "waits.sh", &[])?;
    let waiter = site.boot(1, "waits.sh", &[])?;
    site.ends_well(waiter, LIMIT)?;
    site.ends_well(holder, LIMIT)?;
    if let Server::Dittofs(server) = &site.server {
        let metrics = server.metrics()?;
        let count = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|count| count.trim().parse::<f64>().ok())
        };
        let called = count("dittofs_nfs_backchannel_callbacks_total ");
        let failed = count("dittofs_nfs_backchannel_callback_failures_total ");
        ensure!(
            called.is_some_and(|called| called >= 1.0) && failed == Some(0.0),
            "called {called:?}, failed {failed:?}"
        );
    }
    site.server.finish(&["LOCK", "LOCKU"])
}

#[test]
fn two_machines_fight_over_one_file() -> Result<()> {
    let site = Site::new(&[])?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/client/fight.py");
    let arena = site.export.path().join("arena");
    python(&[script.as_ref(), "create".as_ref(), arena.as_os_str()])?;

    let rounds = [("both-4.1", ["4.1", "4.1"]), ("mixed", ["4.0", "4.1"])];
    let each = fight_seconds() / rounds.len() as u64;
    let seconds = each.to_string();
    for (round, [ones, others]) in rounds {
        let boot = |machine, version| {
            let variables = [
                ("VERSION", version),
                ("ROUND", round),
                ("SECONDS_EACH", &seconds),
            ];
            site.boot(machine, "fight.sh", &variables)
        };
        let (mut one, mut other) = (boot(0, ones)?, boot(1, others)?);
        for machine in 0..2 {
            let ready = format!("ready-{round}-{machine}");
            site.await_signal(&ready, &mut [&mut one, &mut other])?;
        }
        site.signal(&format!("fight-{round}"))?;
        let limit = Duration::from_secs(each) + LIMIT;
        site.ends_well(one, limit)?;
        site.ends_well(other, limit)?;
    }

    let ledgers = [0, 1].map(|machine| site.scratch.path().join(format!("ledger{machine}")));
    let [first, second] = &ledgers;
    python(&[
        script.as_ref(),
        "verify".as_ref(),
        arena.as_os_str(),
        first.as_os_str(),
        second.as_os_str(),
    ])?;
    site.server
        .finish(&["LOCK", "LOCKU", "OPEN", "READ", "WRITE"])
}

fn python(arguments: &[&std::ffi::OsStr]) -> Result<()> {
    let output = Command::new("python3").args(arguments).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
    Ok(())
}
