//! `benches/RESULTS.md`: sections that the programs refresh, between marks; what stands around them is written by hand.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Puts `text` in the place of a file's section `name`.
pub fn refresh(file: &Path, name: &str, text: &str) -> Result<()> {
    let old = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let new = replaced(&old, name, text).with_context(|| format!("no section {name}"))?;
    fs::write(file, new)?;
    Ok(())
}

/// When, of which commit and on what machine something was measured.
pub fn circumstances() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([' ', '\t', ':']));
    let cpus = cpu.lines().filter(|line| line.starts_with("processor"));
    format!(
        "Measured {} at commit {} on {} CPUs ({model}), Linux {}.",
        said("date", &["-u", "+%F %H:%M UTC"]),
        said("git", &["rev-parse", "--short", "HEAD"]),
        cpus.count(),
        said("uname", &["-r"]),
    )
}

fn replaced(old: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- {name} -->\n"),
        format!("<!-- end of {name} -->"),
    );
    let (before, rest) = old.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let old = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
        let new = replaced(old, "x", "new\n").unwrap();
        assert_eq!(new, "a\n<!-- x -->\n\nnew\n\n<!-- end of x -->\nb\n");
        assert_eq!(replaced(&new, "x", "new").unwrap(), new);
        assert_eq!(replaced(old, "y", "new"), None);
    }
}
