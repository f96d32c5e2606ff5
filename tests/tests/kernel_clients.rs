//! Two unmodified Linux machines at once, power cuts of either side, and what the server owes them then.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dittofs_tests::dittofs::binary;
use dittofs_tests::kernel::{LIMIT, Server, Site};
use dittofs_tests::{Dittofs, Network};

/// How long two machines fight in all, in seconds; another number to look closer, or to be done sooner.
fn fight_seconds() -> u64 {
    std::env::var("DITTOFS_TEST_FIGHT_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(600)
}

#[test]
fn locks_of_4_1_outlive_a_power_cut_of_the_server() -> Result<()> {
    // Far longer than the machines have time for: grace ends when all have taken back what they had.
    locks_outlive_a_power_cut("4.1", "nfs.grace_period=3600")
}

#[test]
fn locks_of_4_0_outlive_a_power_cut_of_the_server() -> Result<()> {
    // 4.0 has no word for "that was all", so that grace lasts as long as it is set.
    locks_outlive_a_power_cut("4.0", "nfs.grace_period=15")
}

/// No lock that a machine holds is lost, and none that the other wants is granted meanwhile.
fn locks_outlive_a_power_cut(version: &str, grace: &str) -> Result<()> {
    let mut site = Site::new(&["nfs.lease_time=10", grace])?;
    let variables = [("VERSION", version)];
    let mut holder = site.boot(0, "recover.sh", &variables)?;
    let mut contender = site.boot(1, "recover.sh", &variables)?;
    site.await_signal("contending", &mut [&mut holder, &mut contender])?;
    let Server::Dittofs(server) = &mut site.server else {
        return Ok(());
    };
    server.crash_and_restart()?;
    ensure!(grace_is_active(server)?, "no grace with clients on record");
    site.signal("restarted")?;
    site.ends_well(holder, LIMIT)?;
    site.ends_well(contender, LIMIT)?;

    let Server::Dittofs(server) = &mut site.server else {
        return Ok(());
    };
    ensure!(!grace_is_active(server)?, "grace goes on");
    if version == "4.1" {
        // They said goodbye (DESTROY_CLIENTID), for which 4.0 has no word either.
        server.crash_and_restart()?;
        ensure!(!grace_is_active(server)?, "grace with nobody on record");
    }
    site.server.finish(&[])
}

fn grace_is_active(server: &Dittofs) -> Result<bool> {
    let output = Command::new(binary("dfsctl")?)
        .args(["grace", "status", "-o", "json"])
        .env("DITTOFS_STATE_DIR", server.state_dir())
        .output()?;
    ensure!(output.status.success(), "{output:?}");
    let status: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let active = status.get("active").and_then(serde_json::Value::as_bool);
    active.with_context(|| status.to_string())
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
fn delegations_of_4_1_are_given_and_taken_by_what_another_machine_does() -> Result<()> {
    delegations("4.1", Site::new(PATIENT)?)
}

#[test]
fn delegations_of_4_0_are_given_and_taken_by_what_another_machine_does() -> Result<()> {
    let site = Site::new(PATIENT)?;
    // Behind slirp no server reaches its client, and a 4.0 client that can't be called gets none.
    if site.network == Network::Slirp {
        return Ok(());
    }
    delegations("4.0", site)
}

/// A recall that came to nothing is not made good by taking the delegation away: that would take longer than a step may.
const PATIENT: &[&str] = &["nfs.delegation_recall_timeout=600"];

fn delegations(version: &str, site: Site) -> Result<()> {
    let variables = [("VERSION", version)];
    let one = site.boot(0, "delegations.sh", &variables)?;
    let other = site.boot(1, "delegations.sh", &variables)?;
    site.ends_well(one, LIMIT)?;
    site.ends_well(other, LIMIT)?;
    site.server.finish(&["DELEGRETURN"])
}

#[test]
fn two_machines_fight_over_one_file() -> Result<()> {
    let site = Site::new(&[])?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/client/fight.py");
    let arena = site.export.path().join("arena");
    python(&[script.as_ref(), "create".as_ref(), arena.as_os_str()])?;

    let rounds = [("both-4.1", ["4.1", "4.1"]), ("mixed", ["4.0", "4.2"])];
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
