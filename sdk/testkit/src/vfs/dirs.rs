//! Listings and their cookies.

use std::collections::HashSet;

use dittofs_sdk::vfs::{ReadDirLimit, VfsError};

use super::{Fixture, name, refused, wait};

fn fill(f: &Fixture, count: usize) -> Vec<String> {
    let root = f.root();
    let names: Vec<String> = (0..count).map(|n| format!("entry-{n:05}")).collect();
    for name in &names {
        f.file(&root, name, b"");
    }
    names
}

/// Without `.` and `..`.
pub fn a_listing_has_every_entry_once(f: &Fixture) {
    let root = f.root();
    assert!(f.list(&root, 10, true).is_empty());
    let names = fill(f, 100);
    assert_eq!(f.names(&root), names);
    let cookies: HashSet<u64> = f
        .list(&root, 1000, false)
        .iter()
        .map(|e| e.cookie)
        .collect();
    assert_eq!(cookies.len(), 100);
    assert!(cookies.iter().all(|cookie| *cookie >= 3));
}

/// One entry at a time, and in odd steps.
pub fn a_listing_in_small_steps_is_complete(f: &Fixture) {
    let root = f.root();
    fill(f, 50);
    let whole = f.list(&root, 1000, false);
    for step in [1, 7, 49, 50, 51] {
        assert_eq!(f.list(&root, step, false), whole, "step {step}");
    }
}

/// A cookie leads on when its entry, or any other, is gone.
pub fn a_listing_resumes_after_removals(f: &Fixture) {
    let root = f.root();
    fill(f, 200);
    let mut left: Vec<String> = Vec::new();
    let mut after = 0;
    loop {
        let limit = ReadDirLimit {
            entries: 10,
            attrs: false,
        };
        let piece = wait(f.fs.read_dir(&f.owner, &root, after, limit)).unwrap();
        for entry in piece.iter() {
            let name = String::from_utf8(entry.name().to_vec()).unwrap();
            f.remove(&f.owner, &root, &name).unwrap();
            left.push(name);
            after = entry.cookie();
        }
        if piece.eof() {
            break;
        }
    }
    left.sort();
    left.dedup();
    assert_eq!(left.len(), 200);
    assert!(f.names(&root).is_empty());
}

/// A large directory, complete and without repetition.
pub fn twenty_thousand_entries_are_listed(f: &Fixture) {
    const THREADS: usize = 16;
    let root = f.root();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (fs, cred) = (f.fs(), &f.owner);
            // Links are the cheapest entries.
            let base = f.file(&root, &format!("base-{thread}"), b"").handle;
            scope.spawn(move || {
                for n in (thread..20_000).step_by(THREADS) {
                    let text = format!("link-{n}");
                    wait(fs.link(cred, &base, &fs.root(), name(&text))).unwrap();
                }
            });
        }
    });
    let listed = f.list(&root, 1000, false);
    let names: HashSet<_> = listed.iter().map(|entry| entry.name.clone()).collect();
    assert_eq!(
        (listed.len(), names.len()),
        (20_000 + THREADS, 20_000 + THREADS)
    );
}

/// Handles and attributes in a listing are those of a lookup.
pub fn listed_nodes_are_those_found(f: &Fixture) {
    let root = f.root();
    fill(f, 20);
    f.dir(&root, "dir", 0o700);
    for entry in f.list(&root, 100, true) {
        let found = f
            .find(&root, std::str::from_utf8(&entry.name).unwrap())
            .unwrap();
        assert_eq!(entry.node, Some(found));
        assert_eq!(entry.fileid, found.attr.fileid);
    }
    assert!(
        f.list(&root, 100, false)
            .iter()
            .all(|entry| entry.node.is_none())
    );
}

/// Cookies that no listing gave.
pub fn an_impossible_cookie_is_refused(f: &Fixture) {
    let root = f.root();
    fill(f, 3);
    let limit = ReadDirLimit {
        entries: 10,
        attrs: false,
    };
    for cookie in [1, 2, u64::MAX] {
        refused(
            wait(f.fs.read_dir(&f.owner, &root, cookie, limit)).map(drop),
            VfsError::BadCookie,
        );
    }
    let nothing = ReadDirLimit {
        entries: 0,
        attrs: false,
    };
    refused(
        wait(f.fs.read_dir(&f.owner, &root, 0, nothing)).map(drop),
        VfsError::TooSmall,
    );
}
