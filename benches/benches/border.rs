//! What a file-system call costs across the border of an adapter, beside the same call without it.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dittofs_memfs::{MemoryFs, Options};
use dittofs_sdk::private::across;
use dittofs_sdk::vfs::{
    Buffer, CreateHow, Cred, File, FileSystem, Name, Op, OpenAccess, SetAttr, Stability, VfsResult,
};

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

/// READ and WRITE: the buffer travels to the backend and back, the data do not.
fn data(criterion: &mut Criterion) {
    let Ok(sides) = file_systems() else {
        return;
    };
    for (side, fs) in sides {
        let Some(file) = file(&*fs) else {
            return;
        };
        for (size, length) in [("4 KiB", 4 << 10), ("1 MiB", 1 << 20)] {
            let mut group = criterion.benchmark_group("data");
            group.throughput(Throughput::Bytes(length as u64));
            let data = Bytes::from(vec![7; length]);
            group.bench_function(format!("write {size}, {side}"), |bench| {
                bench.iter(|| file.write(0, black_box(data.clone()), Stability::Unstable));
            });
            // Handed back by each call, as the pool of a connection has it.
            let mut kept = Some(Buffer::with_capacity(length));
            group.bench_function(format!("read {size}, {side}"), |bench| {
                bench.iter(|| {
                    let mut buffer = kept.take().unwrap_or_default();
                    buffer.clear();
                    if let Op::Ready(Ok(read)) = file.read(0, length as u32, buffer) {
                        kept = Some(black_box(read.buffer));
                    }
                });
            });
        }
    }
}

fn file(fs: &dyn FileSystem) -> Option<Arc<dyn File>> {
    let name = Name::new(b"data").ok()?;
    let (how, access) = (CreateHow::Unchecked, OpenAccess::Both);
    let attr = SetAttr::default();
    match fs.create(&Cred::root(), &fs.root(), name, how, &attr, access) {
        Op::Ready(Ok(created)) => Some(created.file),
        _ => None,
    }
}

type Sides = [(&'static str, Arc<dyn FileSystem>); 2];

fn file_systems() -> VfsResult<Sides> {
    let memory: Arc<dyn FileSystem> = Arc::new(MemoryFs::new(&Options::default())?);
    Ok([("plain", Arc::clone(&memory)), ("crossed", across(memory)?)])
}

criterion_group!(border, calls, data);
criterion_main!(border);
