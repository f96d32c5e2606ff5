//! What calls to the `local` backend cost on the file system of `DITTOFS_BENCH_DIR` (a tmpfs, if
//! not said otherwise), through the border and a view, for the superuser and for somebody else.

use std::path::PathBuf;

use criterion::{Criterion, criterion_group, criterion_main};
use dittofs_benches::local::{OPERATIONS, Tree};
use dittofs_sdk::vfs::Cred;

fn calls(criterion: &mut Criterion) {
    let dir = std::env::var_os("DITTOFS_BENCH_DIR").unwrap_or_else(|| "/dev/shm".into());
    let user = Cred {
        groups: [1001, 1002].into(),
        ..Cred::user(1000, 1000)
    };
    for (who, cred) in [("root", Cred::root()), ("user", user)] {
        let Ok(tree) = Tree::new(&PathBuf::from(&dir), cred) else {
            return;
        };
        for (name, run) in OPERATIONS {
            criterion.bench_function(&format!("local/{name}/{who}"), |bench| {
                bench.iter(|| run(&tree));
            });
        }
    }
}

criterion_group!(local, calls);
criterion_main!(local);
