"""fallocate in all its kinds: the two that 4.2 has reach the server, the others the client refuses by itself."""

import errno
import os
import subprocess

import caches
from traffic import Traffic

MIB = 1 << 20
os.chdir(os.environ["MOUNT"])
traffic = Traffic(os.environ["MOUNT"])


def fallocate(*arguments):
    return subprocess.run(["fallocate", *arguments], capture_output=True, text=True)


def fresh(path):
    caches.drop()
    return os.stat(path)


def read(path):
    with open(path, "rb") as file:
        return file.read()


# Room is taken, the size grows, and what is there reads as zeros.
assert fallocate("-l", "8MiB", "room").returncode == 0
assert traffic["ALLOCATE"].count == 1, traffic["ALLOCATE"]
state = fresh("room")
assert state.st_size == 8 * MIB, state
assert state.st_blocks * 512 >= 8 * MIB, state.st_blocks
assert read("room") == bytes(8 * MIB)

# What is written stays, also what the client still holds back.
data = os.urandom(4 * MIB)
with open("written", "wb") as file:
    file.write(data)
    file.flush()
    os.posix_fallocate(file.fileno(), MIB, 5 * MIB)
assert fresh("written").st_size == 6 * MIB
assert read("written") == data + bytes(2 * MIB)

# A hole gives its room back; neither edge needs to be a block's, and the size stays.
before = fresh("written").st_blocks
for start, length in ((MIB, MIB), (2 * MIB + 1000, 777), (3 * MIB - 1, 4097), (5 * MIB + 5, 100 * MIB)):
    assert fallocate("-p", "-o", str(start), "-l", str(length), "written").returncode == 0, start
    data = data[:start] + bytes(min(length, max(0, len(data) - start))) + data[start + length :]
assert traffic["DEALLOCATE"].count == 4, traffic["DEALLOCATE"]
state = fresh("written")
assert state.st_size == 6 * MIB, state
assert before - state.st_blocks >= MIB // 512, (before, state.st_blocks)
assert read("written") == data + bytes(2 * MIB)

# `fallocate -d` looks for zeros and makes holes of them.
with open("dug", "wb") as file:
    file.write(os.urandom(MIB) + bytes(2 * MIB) + os.urandom(MIB))
before, whole = fresh("dug").st_blocks, read("dug")
assert fallocate("-d", "dug").returncode == 0
assert before - fresh("dug").st_blocks >= MIB // 512
assert read("dug") == whole

# Linux 6.1 sends nothing for the other kinds.
counts = traffic["ALLOCATE"].count, traffic["DEALLOCATE"].count
for kind in (["-z"], ["-n"], ["-c"], ["-i"]):
    result = fallocate(*kind, "-o", "0", "-l", "4096", "written")
    assert result.returncode != 0 and "supported" in result.stderr, result
assert (traffic["ALLOCATE"].count, traffic["DEALLOCATE"].count) == counts
assert read("written") == data + bytes(2 * MIB)

# More than there is.
for length, codes in ((1 << 50, {errno.ENOSPC, errno.EFBIG}), ((1 << 63) - 1, {errno.ENOSPC, errno.EFBIG})):
    with open("room", "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, length)
        except OSError as error:
            assert error.errno in codes, error
        else:
            raise AssertionError(f"{length} bytes of room")
assert fresh("room").st_size == 8 * MIB

# A file that is open for reading only.
os.chmod("room", 0o444)
with open("room", "rb") as file:
    try:
        os.posix_fallocate(file.fileno(), 0, MIB)
    except OSError as error:
        assert error.errno == errno.EBADF, error
    else:
        raise AssertionError("allocated by a reader")
