"""A file of 100 GiB with a few MiB of data: nobody reads its holes, the client with `cp` nor the server when it is
asked for all at once. The harness has made it, and checks what came of it."""

import os
import subprocess
import time

from traffic import Traffic

mount = os.environ["MOUNT"]
os.chdir(mount)
size = os.stat("sparse").st_size

traffic = Traffic(mount)
begin = time.monotonic()
subprocess.run(["cp", "sparse", "sparse-cp"], check=True)
print(f"cp took {time.monotonic() - begin:.2f} s")
assert traffic["SEEK"].count >= 3, traffic["SEEK"]
# The islands it copies one way or the other.
assert traffic.moved() < 16 << 20, traffic.moved()

traffic = Traffic(mount)
begin = time.monotonic()
with open("sparse", "rb") as source, open("sparse-whole", "wb") as target:
    done = 0
    while done < size:
        copied = os.copy_file_range(source.fileno(), target.fileno(), size - done)
        assert copied > 0
        done += copied
print(f"copied at once in {time.monotonic() - begin:.2f} s, {traffic['COPY'].count} requests")
assert traffic.moved() < 65536, traffic.moved()
for copy in "sparse-cp", "sparse-whole":
    assert os.stat(copy).st_size == size, copy
