//! `docs/rfc-map.md` is made of the table of operations, and never stale.

use std::fmt::Write as _;
use std::fs;

use super::sources::{Source, root, sources};
use crate::table::{Minors, ROWS, Row};

const MAP: &str = "docs/rfc-map.md";
const UPDATE: &str = "UPDATE_DOCS";
const HEAD: &str = "\
# Operations: where the RFC rules them, where they are, and what tests them

Made of the table of operations (`adapters/nfs/src/table.rs`) and the files' headers; do not edit.
Made anew by `UPDATE_DOCS=1 cargo nextest run -p dittofs-nfs rfc_map`.

Files are under `adapters/nfs/src`; tests are run with `cargo nextest run -p dittofs-nfs NAME`.

| No. | Operation | Minor versions | RFC | File | Tests |
|--:|---|---|---|---|---|
";

#[test]
fn the_map_of_the_rfcs_is_that_of_the_table() {
    let sources = sources();
    let mut map = HEAD.to_owned();
    for row in ROWS {
        writeln!(map, "{}", line(row, &sources)).unwrap();
    }
    let path = root().join(MAP);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &map).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == map, "{MAP} is stale: run again with {UPDATE}=1");
}

fn line(row: &Row, sources: &[Source]) -> String {
    let file = format!("ops/{}.rs", row.module);
    let folder = format!("ops/{}/mod.rs", row.module);
    let source = sources
        .iter()
        .find(|source| source.path == file || source.path == folder)
        .unwrap_or_else(|| panic!("{}: no {file}", row.name));
    let minors = match row.minors {
        Minors::All => "all",
        Minors::Only40 => "4.0",
        Minors::Only41 => "4.1 alone",
        Minors::From41 => "4.1",
        Minors::From42 => "4.2",
    };
    let sections = sections(&source.code);
    assert!(!sections.is_empty(), "{}: no section", source.path);
    let tests = tests(row, sources);
    assert!(!tests.is_empty(), "{}: no test", row.name);
    format!(
        "| {} | {} | {minors} | {} | `{}` | {} |",
        row.number,
        row.name,
        sections.join(", "),
        source.path,
        tests.join(", "),
    )
}

/// Links of a file's header.
fn sections(code: &str) -> Vec<String> {
    code.lines()
        .take_while(|line| line.starts_with("//!"))
        .flat_map(|line| line.split('<').skip(1))
        .filter_map(|link| {
            let link = link.split('>').next()?;
            let (page, section) = link.split_once("#section-")?;
            let rfc = page.rsplit_once("/rfc")?.1;
            Some(format!("[RFC {rfc} §{section}]({link})"))
        })
        .collect()
}

/// Its own module of tests, or if it has none, the one that runs it most.
fn tests(row: &Row, sources: &[Source]) -> Vec<String> {
    let own = format!("ops/{}", row.module);
    let mut words = vec![
        format!("op({},", row.number),
        format!("with({},", row.number),
        format!("{}::Args", row.module),
        format!("    ({}, |w|", row.number),
    ];
    words.extend(builders(row.number, sources));
    let tested: Vec<&Source> = sources
        .iter()
        .filter(|source| !source.tests.is_empty() && !is_tool(&source.path))
        .collect();
    let named = |source: &&Source| format!("`{}`", module(&source.path));
    let its_own: Vec<_> = tested
        .iter()
        .filter(|source| is_of(&source.path, &own))
        .map(named)
        .collect();
    if !its_own.is_empty() {
        return its_own;
    }
    let mentions = |source: &Source| -> usize {
        let times = |word: &String| source.tests.matches(word.as_str()).count();
        words.iter().map(times).sum()
    };
    let most = tested
        .iter()
        .rev()
        .filter(|source| mentions(source) > 0)
        .max_by_key(|source| mentions(source));
    most.map(named).into_iter().collect()
}

/// What tests are built with is no test.
fn is_tool(path: &str) -> bool {
    path.starts_with("testing") || path.ends_with("fixture.rs")
}

fn is_of(path: &str, own: &str) -> bool {
    let rest = path.strip_prefix(own);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Calls of what the tests' builder has for an operation.
fn builders(number: u32, sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources
        .iter()
        .filter(|source| source.path.starts_with("testing"))
    {
        let mut name = "";
        for line in source.tests.lines() {
            if let Some((_, function)) = line.split_once(" fn ") {
                name = function.split(['(', '<']).next().unwrap_or_default();
            }
            let runs = ["op", "with"].map(|how| format!("self.{how}({number},"));
            if runs.iter().any(|run| line.contains(run)) {
                found.push(format!(".{name}("));
            }
        }
    }
    found
}

/// The module of the tests in a file, as the names of tests begin.
fn module(path: &str) -> String {
    let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
    let module = stem.replace('/', "::");
    if module.contains("tests") {
        module
    } else {
        format!("{module}::tests")
    }
}
