"""A directory of 20,000 entries: listed completely, each once, and a smaller one also while it shrinks."""

import os

import caches

ENTRIES = 20_000
SHRINKING = 3_000

# Hard links are the cheapest entries to make; every tenth is a file of its own.
os.mkdir("many")
directory = os.open("many", os.O_RDONLY)
names = [f"entry-{number:05}-{'x' * (number % 40)}" for number in range(ENTRIES)]
for number, name in enumerate(names):
    if number % 10 == 0:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=directory))
        file = name
    else:
        os.link(file, name, src_dir_fd=directory, dst_dir_fd=directory)
caches.drop()
listed = os.listdir("many")
assert len(listed) == ENTRIES, len(listed)
assert set(listed) == set(names)

# Removing what the listing has passed must not make it skip what is to come.
os.mkdir("shrinking")
for name in names[:SHRINKING]:
    os.link(f"many/{name}", f"shrinking/{name}")
caches.drop()
seen = set()
with os.scandir("shrinking") as entries:
    for entry in entries:
        assert entry.name not in seen, entry.name
        seen.add(entry.name)
        os.unlink(entry.path)
assert seen == set(names[:SHRINKING]), f"{SHRINKING - len(seen)} entries were skipped"
os.rmdir("shrinking")
