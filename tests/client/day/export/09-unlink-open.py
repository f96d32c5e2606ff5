"""An open file that has lost its name still works, and is gone after the close."""

import os

import caches

os.mkdir("unlinked")
with open("unlinked/file", "w+b", buffering=0) as file:
    file.write(b"before")
    os.unlink("unlinked/file")
    assert not os.path.exists("unlinked/file")
    file.write(b" and after")
    os.fsync(file.fileno())
    caches.drop()
    assert os.pread(file.fileno(), 100, 0) == b"before and after"
    with open("unlinked/file", "wb") as other:
        other.write(b"another")
    assert os.pread(file.fileno(), 100, 0) == b"before and after"
with open("unlinked/file", "rb") as other:
    assert other.read() == b"another"
os.unlink("unlinked/file")
assert os.listdir("unlinked") == []
os.rmdir("unlinked")
