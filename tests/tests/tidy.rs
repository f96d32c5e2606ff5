//! House rules that a machine can judge. The rest is for reviewers.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The only places with `unsafe`: the border of the ABI, system calls, and a test's own network namespace.
const UNSAFE_ROOMS: &[&str] = &[
    "sdk/src/abi/",
    "host/src/vfs/local/sys",
    "tests/src/network.rs",
    "tests/adapters/crasher/",
    "benches/src/allocations.rs",
];

/// The only place that names the ABI library.
const ABI_ROOM: &str = "sdk/src/abi/";

/// Where a protocol must not be named.
const NEUTRAL: &[&str] = &["host/", "cli/", "sdk/"];

const LONGEST_FILE: usize = 1000;

const OPERATIONS: &str = "adapters/nfs/src/ops";

#[test]
fn nothing_is_left_for_later() -> Result<()> {
    let later = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("db", "g!("),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("#[ig", "nore"),
    ];
    let found = lines_where(&sources()?, |_, line| {
        later.iter().any(|word| line.contains(word))
    });
    assert_none(&found);
    Ok(())
}

#[test]
fn no_file_knows_one_persons_machine() -> Result<()> {
    let places = [
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/wo", "rk/"),
    ];
    let found = lines_where(&sources()?, |_, line| {
        places.iter().any(|place| line.contains(place))
    });
    assert_none(&found);
    Ok(())
}

#[test]
fn unsafe_code_stays_in_its_rooms_and_gives_its_reason() -> Result<()> {
    let rust = rust_sources()?;
    let strays = lines_where(&rust, |path, line| {
        uses_unsafe(line) && !UNSAFE_ROOMS.iter().any(|room| path.starts_with(room))
    });
    assert_none(&strays);

    let mut silent = Vec::new();
    for source in &rust {
        for (number, line) in source.text.lines().enumerate() {
            let needs_reason = line.contains("unsafe {") || line.contains("unsafe impl");
            if needs_reason && is_code(line) && !has_reason(&source.text, number) {
                silent.push(place(source, number, line));
            }
        }
    }
    assert_none(&silent);
    Ok(())
}

#[test]
fn the_abi_library_is_named_in_one_room() -> Result<()> {
    let name = concat!("abi_", "stable");
    let found = lines_where(&rust_sources()?, |path, line| {
        is_code(line) && line.contains(name) && !path.starts_with(ABI_ROOM)
    });
    assert_none(&found);
    Ok(())
}

#[test]
fn host_and_command_line_know_no_protocol() -> Result<()> {
    let mut sources = rust_sources()?;
    for source in &mut sources {
        // Tests may take an adapter for an example.
        if let Some(start) = source.text.find("#[cfg(test)]") {
            source.text.truncate(start);
        }
    }
    let found = lines_where(&sources, |path, line| {
        is_code(line) && NEUTRAL.iter().any(|room| path.starts_with(room)) && names_nfs(line)
    });
    assert_none(&found);
    Ok(())
}

#[test]
fn files_are_short_enough_to_read() -> Result<()> {
    let long: Vec<_> = rust_sources()?
        .iter()
        .filter(|source| source.text.lines().count() > LONGEST_FILE)
        .map(|source| source.path.clone())
        .collect();
    assert_none(&long);
    Ok(())
}

#[test]
fn every_rust_file_says_what_it_is_for() -> Result<()> {
    let mute: Vec<_> = rust_sources()?
        .iter()
        .filter(|source| !source.text.starts_with("//!") && !source.path.ends_with("/tests.rs"))
        .map(|source| source.path.clone())
        .collect();
    assert_none(&mute);
    Ok(())
}

/// The table of operations is the only list of them: a row, a file, and in it the RFC that rules.
#[test]
fn every_operation_has_its_file_and_names_its_rfc() -> Result<()> {
    let table = fs::read_to_string(root().join("adapters/nfs/src/table.rs"))?;
    let rows: Vec<_> = table.lines().filter_map(module_of_row).collect();
    assert!(rows.len() >= 56, "found {} rows only", rows.len());

    let sources = rust_sources()?;
    for module in &rows {
        let file = format!("{OPERATIONS}/{module}.rs");
        let folder = format!("{OPERATIONS}/{module}/mod.rs");
        let source = sources
            .iter()
            .find(|source| source.path == file || source.path == folder);
        let source = source.unwrap_or_else(|| panic!("{module}: no {file}"));
        assert!(
            source
                .text
                .lines()
                .take_while(|line| line.starts_with("//!"))
                .any(|line| line.contains("rfc-editor.org/rfc/rfc")),
            "{}: its header links no RFC",
            source.path
        );
    }
    for source in &sources {
        let Some(name) = source.path.strip_prefix(&format!("{OPERATIONS}/")) else {
            continue;
        };
        let module = name.split(['/', '.']).next().unwrap_or(name);
        let known = module == "mod"
            || rows.iter().any(|row| row == module)
            || table_of_ops_uses(&sources, module);
        assert!(known, "{}: no row of the table", source.path);
    }
    Ok(())
}

/// `Nfs`, `NFS`, or `nfs` at the start of a word, but not `ForeignFs`.
fn names_nfs(line: &str) -> bool {
    let starts_word = |start: usize| {
        !line
            .get(..start)
            .is_some_and(|before| before.ends_with(char::is_alphabetic))
    };
    line.contains("Nfs")
        || line.contains("NFS")
        || line
            .match_indices("nfs")
            .any(|(start, _)| starts_word(start))
}

/// A line such as `25 READ Read read All [NEEDS_FH];` names its module fourth.
fn module_of_row(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    words.next()?.parse::<u32>().ok()?;
    let name = words.next()?;
    let upper = name
        .chars()
        .all(|letter| letter.is_ascii_uppercase() || "_0123456789".contains(letter));
    let module = words.nth(1)?;
    upper.then(|| module.to_owned())
}

/// What several operations share is declared in `ops/mod.rs` beside them and used by at least two.
fn table_of_ops_uses(sources: &[Source], module: &str) -> bool {
    let users = sources.iter().filter(|source| {
        source.path.starts_with(OPERATIONS) && source.text.contains(&format!("{module}::"))
    });
    users.count() >= 2
}

struct Source {
    path: String,
    text: String,
}

fn uses_unsafe(line: &str) -> bool {
    is_code(line)
        && [
            "unsafe {",
            "unsafe fn",
            "unsafe impl",
            "unsafe extern",
            "unsafe trait",
            "unsafe(",
            "allow(unsafe_code",
        ]
        .iter()
        .any(|form| line.contains(form))
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

/// A `// SAFETY:` comment ends right above the line, or above the statement that the line is part of.
fn has_reason(text: &str, number: usize) -> bool {
    let lines: Vec<_> = text.lines().take(number + 1).collect();
    lines
        .iter()
        .rev()
        .take(8)
        .any(|line| line.contains("SAFETY:"))
}

fn lines_where(sources: &[Source], wrong: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.text.lines().enumerate() {
            if wrong(&source.path, line) {
                found.push(place(source, number, line));
            }
        }
    }
    found
}

fn place(source: &Source, number: usize, line: &str) -> String {
    format!("{}:{}: {}", source.path, number + 1, line.trim())
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn rust_sources() -> Result<Vec<Source>> {
    let mut all = sources()?;
    all.retain(|source| {
        Path::new(&source.path)
            .extension()
            .is_some_and(|extension| extension == "rs")
    });
    assert!(all.len() > 50, "found {} Rust files only", all.len());
    Ok(all)
}

/// Every text file of the project.
fn sources() -> Result<Vec<Source>> {
    let root = root();
    let mut found = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(directory) = pending.pop() {
        for item in fs::read_dir(directory)? {
            let path = item?.path();
            let name = path
                .strip_prefix(&root)?
                .to_str()
                .context("a name that is not UTF-8")?
                .to_owned();
            // This file holds the words it looks for.
            let foreign = name.starts_with("target")
                || ["data", ".git", "tests/tests/tidy.rs"].contains(&name.as_str());
            if foreign || path.is_symlink() {
                continue;
            }
            if path.is_dir() {
                pending.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push(Source { path: name, text });
            }
        }
    }
    Ok(found)
}

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).to_owned()
}
