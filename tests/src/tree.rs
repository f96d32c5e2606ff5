//! Directory trees: one to copy, and what a copy is compared by.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::random::Random;

/// Directories and files that [`plant`] makes, at the least.
pub const DIRECTORIES: usize = 300;
/// See [`DIRECTORIES`].
pub const FILES: usize = 5000;

const TOP: usize = 20;
const BELOW: usize = 14;
const FILES_PER_DIRECTORY: usize = 17;

/// Makes a tree of [`FILES`] files and [`DIRECTORIES`] directories, the same each time: sizes from nothing to
/// 200 kB, some modes, times of long ago, symbolic links.
pub fn plant(root: &Path) -> Result<()> {
    let mut random = Random::new(7);
    let mut count = 0;
    fs::create_dir(root)?;
    for top in 0..TOP {
        let top_path = root.join(format!("d{top:02}"));
        fs::create_dir(&top_path)?;
        symlink(format!("../d{:02}", (top + 1) % TOP), top_path.join("next"))?;
        fill(&top_path, &mut random, &mut count)?;
        for below in 0..BELOW {
            let path = top_path.join(format!("below {below}"));
            fs::create_dir(&path)?;
            fill(&path, &mut random, &mut count)?;
        }
    }
    ensure!(count >= FILES && TOP * (BELOW + 1) >= DIRECTORIES);
    Ok(())
}

/// What a file of a tree is, apart from its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Permission bits.
    Directory(u32),
    /// Permission bits, modification time in nanoseconds, SHA-256 of the content.
    File(u32, i128, String),
    /// Target.
    Link(PathBuf),
}

/// Everything below `root` by its path, contents as checksums made by `sha256sum`.
pub fn inventory(root: &Path) -> Result<BTreeMap<PathBuf, Entry>> {
    let sums = checksums(root)?;
    let mut entries = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        for item in fs::read_dir(&directory)? {
            let path = item?.path();
            let state = fs::symlink_metadata(&path)?;
            let mode = state.permissions().mode() & 0o7777;
            let name = path.strip_prefix(root)?.to_owned();
            let entry = if state.is_dir() {
                pending.push(path);
                Entry::Directory(mode)
            } else if state.is_symlink() {
                Entry::Link(fs::read_link(&path)?)
            } else {
                let time =
                    i128::from(state.mtime()) * 1_000_000_000 + i128::from(state.mtime_nsec());
                let sum = sums
                    .get(&name)
                    .with_context(|| format!("no sum of {}", name.display()))?;
                Entry::File(mode, time, sum.clone())
            };
            entries.insert(name, entry);
        }
    }
    Ok(entries)
}

/// SHA-256 of one file in hexadecimal.
pub fn checksum(file: &Path) -> Result<String> {
    let output = Command::new("sha256sum").arg(file).output()?;
    ensure!(output.status.success(), "sha256sum {}", file.display());
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .split_whitespace()
        .next()
        .context("sha256sum said nothing")?
        .to_owned())
}

fn checksums(root: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let output = Command::new("find")
        .args([".", "-type", "f", "-exec", "sha256sum", "{}", "+"])
        .current_dir(root)
        .output()?;
    ensure!(
        output.status.success(),
        "sha256sum below {}",
        root.display()
    );
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().filter_map(|line| line.split_once("  ./"));
    Ok(lines
        .map(|(sum, name)| (PathBuf::from(name), sum.to_owned()))
        .collect())
}

fn fill(directory: &Path, random: &mut Random, count: &mut usize) -> Result<()> {
    for number in 0..FILES_PER_DIRECTORY {
        let path = directory.join(format!("file-{number}.txt"));
        let mut file = fs::File::create(&path)?;
        file.write_all(&content(random, *count))?;
        let mode = if number % 5 == 0 { 0o755 } else { 0o640 };
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        // Whole seconds: the client reads the tree through hostfs, which knows no finer times.
        let past = std::time::Duration::from_secs(1_000_000_000 + *count as u64);
        file.set_modified(std::time::UNIX_EPOCH + past)?;
        *count += 1;
    }
    Ok(())
}

/// Mostly small files, as in a source tree; a few large ones.
fn content(random: &mut Random, number: usize) -> Vec<u8> {
    let size = match number % 100 {
        0 => 0,
        1 => 200_000,
        2..10 => random.below(40_000),
        _ => random.below(6_000),
    };
    random.bytes(size as usize)
}
