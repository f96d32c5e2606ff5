//! What a file-system call costs across the border of an adapter, beside the same call without it.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::private::across;
use dittofs_sdk::vfs::{Cred, FileSystem, Name, Op, VfsResult};

fn calls(criterion: &mut Criterion) {
    let Ok(sides) = file_systems() else {
        return;
    };
    for (side, fs) in sides {
        let (root, cred) = (fs.root(), Cred::root());
        criterion.bench_function(&format!("attr ready, {side}"), |bench| {
            bench.iter(|| matches!(fs.attr(black_box(&root)), Op::Ready(Ok(_))));
        });
        let Ok(name) = Name::new(b"absent") else {
            return;
        };
        criterion.bench_function(&format!("lookup of nothing, {side}"), |bench| {
            bench.iter(|| fs.lookup(&cred, black_box(&root), name));
        });
    }
}

type Sides = [(&'static str, Arc<dyn FileSystem>); 2];

fn file_systems() -> VfsResult<Sides> {
    let memory: Arc<dyn FileSystem> = Arc::new(MemoryFs::new(&Options::default())?);
    Ok([("plain", Arc::clone(&memory)), ("crossed", across(memory)?)])
}

criterion_group!(border, calls);
criterion_main!(border);
