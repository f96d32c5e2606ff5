//! What calls to the `local` backend cost: `local_calls DIR UID COUNT [OPERATION]...`
//!
//! Prints nanoseconds per call, and does nothing else meanwhile, so that `strace -c -f` counts the
//! system calls of each and `perf` sees where the time goes.

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use dittofs_benches::local::{OPERATIONS, Tree};
use dittofs_sdk::vfs::Cred;

fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let mut next = || {
        words
            .next()
            .ok_or("local_calls DIR UID COUNT [OPERATION]...")
    };
    let (dir, uid, count) = (
        PathBuf::from(next()?),
        next()?.parse()?,
        next()?.parse::<u32>()?,
    );
    let wanted: Vec<String> = words.collect();
    let cred = if uid == 0 {
        Cred::root()
    } else {
        Cred {
            groups: [uid + 1, uid + 2].into(),
            ..Cred::user(uid, uid)
        }
    };
    let tree = Tree::new(&dir, cred)?;
    for (name, run) in OPERATIONS {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            continue;
        }
        // One listing stands for a thousand entries.
        let count = if name.starts_with("list") {
            count.div_ceil(100)
        } else {
            count
        };
        let start = Instant::now();
        for _ in 0..count {
            run(&tree).map_err(|error| format!("{name}: {error}"))?;
        }
        println!(
            "{name:24} {:>10} ns",
            start.elapsed().as_nanos() / u128::from(count.max(1))
        );
    }
    Ok(())
}
