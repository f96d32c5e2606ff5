//! What can be known of a library before any of its code runs.
//!
//! The dynamic loader trusts a file: one that is shorter than its headers say kills the
//! process with SIGBUS, and whoever can write the file decides what the host runs.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use object::elf::{self, FileHeader64};
use object::read::ReadCache;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadRef};

use super::load::{LoadError, Manifest};
use super::note;

/// Checks that the file at `path` may be trusted and is complete, and reads its manifest.
pub(super) fn inspect(path: &Path) -> Result<Manifest, LoadError> {
    let refuse = |problem: String| LoadError(format!("{}: {problem}", path.display()));
    let unreadable = |error: io::Error| {
        refuse(match error.kind() {
            io::ErrorKind::NotFound => {
                "no such file; build the adapter or correct the path".to_owned()
            }
            _ => format!("can't be read: {error}; correct its permissions"),
        })
    };
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    trusted(&metadata).map_err(refuse)?;
    let cache = ReadCache::new(file);
    parse(&cache, metadata.len()).map_err(refuse)
}

fn trusted(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("not a regular file; give the path of a library".to_owned());
    }
    if metadata.mode() & 0o002 != 0 {
        return Err("everybody may write to it; take that away with chmod o-w".to_owned());
    }
    // SAFETY: geteuid(2) only answers.
    let me = unsafe { libc::geteuid() };
    match metadata.uid() {
        0 => Ok(()),
        owner if owner == me => Ok(()),
        owner => Err(format!(
            "owned by user {owner}, who is neither root nor the host's user {me}; change its owner"
        )),
    }
}

fn parse<'data, R: ReadRef<'data>>(data: R, len: u64) -> Result<Manifest, String> {
    const MACHINE: elf::Machine = if cfg!(target_arch = "aarch64") {
        elf::EM_AARCH64
    } else {
        elf::EM_X86_64
    };
    let magic = data.read_bytes_at(0, 4.min(len)).unwrap_or_default();
    if magic != elf::ELFMAG {
        return Err("not an ELF library; remove it or give the path of an adapter".to_owned());
    }
    let damaged = |what: object::Error| {
        format!("damaged or cut short at {len} bytes ({what}); copy or build it again")
    };
    let header = FileHeader64::<Endianness>::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    if header.e_machine(endian) != MACHINE || header.e_type(endian) != elf::ET_DYN {
        return Err("not a dynamic library for this machine; build it for this one".to_owned());
    }
    for segment in header.program_headers(endian, data).map_err(damaged)? {
        within(segment.p_offset(endian), segment.p_filesz(endian), len)?;
    }
    let sections = header.sections(endian, data).map_err(damaged)?;
    for section in sections
        .iter()
        .filter(|section| section.sh_type(endian) != elf::SHT_NOBITS)
    {
        within(section.sh_offset(endian), section.sh_size(endian), len)?;
    }
    let Some((_, section)) = sections.section_by_name(endian, note::SECTION) else {
        return Err(
            "not a DittoFS adapter: it has no manifest; use export_adapter! or remove it"
                .to_owned(),
        );
    };
    let content = section.data(endian, data).map_err(damaged)?;
    note::parse(content).ok_or_else(|| {
        "its manifest has a format unknown to this host; update the host or rebuild it".to_owned()
    })
}

fn within(offset: u64, size: u64, len: u64) -> Result<(), String> {
    match offset.checked_add(size) {
        Some(end) if end <= len => Ok(()),
        end => Err(format!(
            "cut short: it has {len} bytes of at least {}; copy or build it again",
            end.unwrap_or(u64::MAX)
        )),
    }
}
