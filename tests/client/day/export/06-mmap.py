"""Writes through a shared mapping reach the file, and writes to the file reach the mapping."""

import mmap
import os

import caches

PAGES = 512
PAGE = mmap.PAGESIZE

with open("mapped", "w+b", buffering=0) as file:
    file.truncate(PAGES * PAGE)
    with mmap.mmap(file.fileno(), PAGES * PAGE) as memory:
        for page in range(0, PAGES, 3):
            memory[page * PAGE + 7 : page * PAGE + 15] = page.to_bytes(8, "big")
        memory.flush()
        os.pwrite(file.fileno(), b"from write", PAGE)
        assert memory[PAGE : PAGE + 10] == b"from write"
caches.drop()
with open("mapped", "rb") as file:
    data = file.read()
assert len(data) == PAGES * PAGE
for page in range(0, PAGES, 3):
    start = page * PAGE
    assert data[start + 7 : start + 15] == page.to_bytes(8, "big"), page
assert data[PAGE : PAGE + 10] == b"from write"
assert data[2 * PAGE : 3 * PAGE] == bytes(PAGE)
