//! File systems in image files: what the disk at hand can't do, such as sharing blocks, one of these can.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

use crate::network::unshare;

/// A mounted image; gone when dropped.
///
/// Only the thread that mounted it and what it started see it: with the last of them the kernel unmounts it and
/// gives the loop device back, however they ended.
pub struct Image {
    /// Which file system it is, by its name in `/proc/filesystems`.
    pub kind: &'static str,
    home: TempDir,
}

/// Sparse: what a test does not write takes no space.
const SIZE: u64 = 4 << 30;

impl Image {
    /// Makes a file system of each kind in a file in `place`, and mounts it. Takes root.
    pub fn mount_all(kinds: &[&'static str], place: &Path) -> Result<Vec<Self>> {
        if kinds.is_empty() {
            return Ok(Vec::new());
        }
        unshare(UnshareFlags::NEWNS).context("cannot make a mount namespace")?;
        run(Command::new("mount").args(["--make-rprivate", "/"]))?;
        kinds.iter().map(|kind| Self::mount(kind, place)).collect()
    }

    fn mount(kind: &'static str, place: &Path) -> Result<Self> {
        let home = TempDir::with_prefix_in(format!("dittofs-{kind}-"), place)?;
        let file = home.path().join("image");
        std::fs::File::create(&file)?.set_len(SIZE)?;
        run(Command::new(format!("/sbin/mkfs.{kind}"))
            .arg("-q")
            .arg(&file))?;
        let image = Self { kind, home };
        std::fs::create_dir(image.path())?;
        run(Command::new("mount")
            .args(["-t", kind, "-o", "loop"])
            .args([&file, &image.path()]))?;
        Ok(image)
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.home.path().join(self.kind)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Whoever still uses it goes on; if it is not mounted there is nothing to do.
        let _ = run(Command::new("umount").arg("--lazy").arg(self.path()));
    }
}

fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| program.clone())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program}: {}", said.trim());
    }
    Ok(())
}
