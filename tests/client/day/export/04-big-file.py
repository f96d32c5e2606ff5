"""1 GiB, written with fsync, dropped from the cache, read back. The harness checks the same sum on the server."""

import hashlib
import os
import random
import time

import caches

CHUNK = 1 << 20
CHUNKS = 1024

pattern = bytearray(random.Random(1).randbytes(CHUNK))
written = hashlib.sha256()
begin = time.time()
with open("big", "wb", buffering=0) as file:
    for number in range(CHUNKS):
        pattern[:8] = number.to_bytes(8, "little")
        assert file.write(pattern) == CHUNK
        written.update(pattern)
    os.fsync(file.fileno())
print(f"written and synced in {time.time() - begin:.1f} s")
assert os.stat("big").st_size == CHUNK * CHUNKS

caches.drop()
begin = time.time()
read = hashlib.sha256()
with open("big", "rb", buffering=0) as file:
    while data := file.read(CHUNK):
        read.update(data)
print(f"read in {time.time() - begin:.1f} s")
assert read.digest() == written.digest(), "what was read is not what was written"
with open("/run/scratch/big.sha256", "w") as file:
    file.write(written.hexdigest())
