//! Which files in the adapter directories are adapters.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use dittofs_sdk::host::{LoadError, Manifest, Plugin};

/// A file that is an adapter, or claims to be one by its name.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself, or why it can't be used.
    pub manifest: Result<Manifest, LoadError>,
}

pub(super) fn discover(dirs: &[PathBuf]) -> Vec<Found> {
    let mut names = HashSet::new();
    dirs.iter()
        .flat_map(|dir| candidates(dir))
        .map(|path| Found {
            manifest: Plugin::manifest_of(&path),
            path,
        })
        .filter(|found| match &found.manifest {
            Ok(manifest) => names.insert(manifest.name.clone()),
            Err(_) => true,
        })
        .collect()
}

/// The files of `dir` named `lib*adapter*.so`, in the order of their names. A directory that
/// is not there has none: the default directories are optional.
fn candidates(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| is_candidate(path))
        .collect();
    paths.sort();
    paths
}

fn is_candidate(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "so")
        && path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| {
                stem.strip_prefix("lib")
                    .is_some_and(|name| name.contains("adapter"))
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_named_after_adapters_are_candidates() {
        for (name, expected) in [
            ("libdittofs_adapter_nfs.so", true),
            ("libmyadapter.so", true),
            ("libdittofs_adapter_nfs.rlib", false),
            ("adapter.so", false),
            ("libc.so", false),
        ] {
            assert_eq!(is_candidate(Path::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_directory_that_is_missing_has_no_adapters() {
        assert!(discover(&[PathBuf::from("/nonexistent/adapters")]).is_empty());
    }

    #[test]
    fn a_file_that_only_claims_to_be_an_adapter_is_found_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("libfake_adapter.so"), "text").unwrap();
        let found = discover(&[dir.path().to_owned()]);
        assert_eq!(found.len(), 1);
        let error = found[0].manifest.as_ref().unwrap_err();
        assert!(error.0.contains("libfake_adapter.so"), "{error}");
    }
}
