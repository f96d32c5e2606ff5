"""A directory of 20,000 entries: listed completely, each once, also while it shrinks."""

import os

import caches

ENTRIES = 20_000

os.mkdir("many")
names = {f"entry-{number:05}-{'x' * (number % 40)}" for number in range(ENTRIES)}
directory = os.open("many", os.O_RDONLY)
for name in names:
    os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=directory))
caches.drop()
listed = os.listdir("many")
assert len(listed) == ENTRIES, len(listed)
assert set(listed) == names

# Removing what the listing has passed must not make it skip what is to come.
seen = set()
with os.scandir("many") as entries:
    for entry in entries:
        assert entry.name not in seen, entry.name
        seen.add(entry.name)
        os.unlink(entry.name, dir_fd=directory)
assert seen == names, f"{len(names - seen)} entries were skipped"
os.close(directory)
os.rmdir("many")
