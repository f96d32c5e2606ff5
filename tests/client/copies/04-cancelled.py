"""A copy whose program is interrupted: the client calls it off, and the server ends it."""

import os
import signal
import subprocess
import time

import caches
from traffic import Traffic

mount = os.environ["MOUNT"]
os.chdir(mount)
traffic = Traffic(mount)
program = subprocess.Popen(["cp", "big", "cancelled"])
while traffic["COPY"].count == 0:
    assert program.poll() is None, "copied before it could be interrupted"
    time.sleep(0.002)
program.send_signal(signal.SIGINT)
assert program.wait() == -signal.SIGINT, program.returncode
while traffic["OFFLOAD_CANCEL"].count == 0:
    time.sleep(0.01)
assert traffic["OFFLOAD_CANCEL"].errors == 0, traffic["OFFLOAD_CANCEL"]


def copied():
    caches.drop()
    return os.stat("cancelled").st_size, os.stat("cancelled").st_blocks


before = copied()
assert before[0] < os.stat("big").st_size, "all was copied"
time.sleep(1)
assert copied() == before, "it goes on"
print(f"called off after {before[0]} bytes")
os.unlink("cancelled")
