"""`cp` of 1 GiB: the server copies, and no byte of the file comes along. The harness checks what came of it."""

import os
import subprocess
import time

from traffic import Traffic

mount = os.environ["MOUNT"]
os.chdir(mount)
traffic = Traffic(mount)
begin = time.monotonic()
subprocess.run(["cp", "big", "copy"], check=True)
print(f"copied in {time.monotonic() - begin:.2f} s")
assert os.stat("copy").st_size == os.stat("big").st_size
assert traffic["COPY"].count >= 1, traffic["COPY"]
assert traffic["READ"].count == 0, traffic["READ"]
assert traffic["WRITE"].count == 0, traffic["WRITE"]
with open("big", "rb") as big, open("copy", "rb") as copy:
    for offset in range(0, os.stat("big").st_size, 100 << 20):
        assert os.pread(big.fileno(), 65536, offset) == os.pread(copy.fileno(), 65536, offset), offset
