//! What users notice of NFSv4.2 in the attributes of files, on unmodified Linux machines: extended attributes, and inherited
//! lists whatever the umask.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dittofs_tests::kernel::{LIMIT, Site};

#[test]
fn extended_attributes_are_kept_with_the_file() -> Result<()> {
    let Some(site) = Site::with_images(&["xfs"], &[])? else {
        return Ok(());
    };
    let share = site.images.first().context("xfs")?.path();
    std::fs::write(share.join("from-server"), "")?;
    run(
        "setfattr",
        &["-n", "user.server", "-v", "set there"],
        &share.join("from-server"),
    )?;
    let variables = [("VERSION", "4.2"), ("SHARES", "xfs"), ("WORK", "xattrs")];
    site.run("work.sh", &variables)?;
    let listed = run(
        "getfattr",
        &["--absolute-names", "-d"],
        &share.join("tools/file"),
    )?;
    for line in [
        "user.note=\"a note\"",
        "user.empty=\"\"",
        "user.binary=0sAP8KPQ==",
    ] {
        ensure!(
            listed.lines().any(|found| found == line),
            "no {line}: {listed}"
        );
    }
    site.server
        .finish(&["GETXATTR", "SETXATTR", "LISTXATTRS", "REMOVEXATTR"])
}

#[test]
fn extended_attributes_of_one_machine_are_seen_by_the_other() -> Result<()> {
    let site = Site::new(&[])?;
    let variables = [("SHARE", "export")];
    let one = site.boot(0, "xattrs-of-two.sh", &variables)?;
    let other = site.boot(1, "xattrs-of-two.sh", &variables)?;
    site.ends_well(one, LIMIT)?;
    site.ends_well(other, LIMIT)?;
    site.server.finish(&["SETXATTR", "REMOVEXATTR"])
}

#[test]
fn default_lists_are_inherited_whatever_the_umask() -> Result<()> {
    let site = Site::new(&[])?;
    let (heirs, plain) = (
        site.export.path().join("heirs"),
        site.export.path().join("plain"),
    );
    std::fs::create_dir(&heirs)?;
    std::fs::create_dir(&plain)?;
    let list = "u::rwx,u:65534:rwx,g::r-x,m::rwx,o::---";
    run("setfacl", &["-d", "-m", list], &heirs)?;
    site.run("umask.sh", &[])?;

    // What 4.1 tells the server is a mode that has lost what the umask takes, so that nobody named gets anything.
    for (version, mask) in [("4.1", "---"), ("4.2", "rw-")] {
        for kind in ["file", "pipe"] {
            let heir = heirs.join(format!("{kind}-{version}"));
            let inherited = [
                "user::rw-".to_owned(),
                "user:65534:rwx".to_owned(),
                "group::r-x".to_owned(),
                format!("mask::{mask}"),
                "other::---".to_owned(),
            ];
            ensure!(
                entries(&heir)? == inherited,
                "{heir:?}: {:?}",
                entries(&heir)?
            );
        }
    }
    let directory = entries(&heirs.join("dir-4.2"))?;
    for entry in ["mask::rwx", "default:user:65534:rwx", "default:mask::rwx"] {
        ensure!(
            directory.iter().any(|found| found == entry),
            "{directory:?}"
        );
    }
    for version in ["4.1", "4.2"] {
        for (name, mode) in [
            ("file", 0o600),
            ("dir", 0o700),
            ("pipe", 0o600),
            ("file022", 0o644),
        ] {
            let path = plain.join(format!("{name}-{version}"));
            let found = std::fs::metadata(&path)?.permissions().mode() & 0o7777;
            ensure!(found == mode, "{path:?} has mode {found:o}");
        }
    }
    site.server.finish(&["OPEN", "CREATE"])
}

/// The entries of its access control list.
fn entries(path: &Path) -> Result<Vec<String>> {
    let list = run(
        "getfacl",
        &[
            "--numeric",
            "--omit-header",
            "--no-effective",
            "--absolute-names",
        ],
        path,
    )?;
    let lines = list.lines().filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
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
