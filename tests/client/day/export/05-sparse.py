"""A file that is mostly hole: its size is the last byte, its holes read as zeros and take no space."""

import os

import caches

GIB = 1 << 30

with open("sparse", "wb") as file:
    file.seek(3 * GIB)
    file.write(b"far out")
    file.flush()
    os.fsync(file.fileno())
    file.seek(GIB)
    file.write(b"middle")
caches.drop()
state = os.stat("sparse")
assert state.st_size == 3 * GIB + 7, state.st_size
assert state.st_blocks * 512 < 1 << 20, state.st_blocks
with open("sparse", "rb") as file:
    assert file.read(65536) == bytes(65536)
    file.seek(GIB - 4096)
    assert file.read(8192) == bytes(4096) + b"middle" + bytes(4090)
    file.seek(3 * GIB)
    assert file.read() == b"far out"
os.truncate("sparse", 5 * GIB)
assert os.stat("sparse").st_size == 5 * GIB
with open("sparse", "rb") as file:
    file.seek(5 * GIB - 10)
    assert file.read() == bytes(10)
os.unlink("sparse")
