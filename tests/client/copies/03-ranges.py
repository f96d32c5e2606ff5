"""copy_file_range of odd ranges, within a file, past its end, between shares, and of what is not yet written."""

import errno
import os
import random

import caches
from traffic import Traffic

mount, other = os.environ["MOUNT"], "/run/quick"
os.chdir(mount)
rng = random.Random(9)


def copy(source, start, target, at, length):
    done = 0
    while done < length:
        copied = os.copy_file_range(source, target, length - done, start + done, at + done)
        if copied == 0:
            break
        done += copied
    return done


def same(path, expected):
    caches.drop()
    with open(path, "rb") as file:
        assert file.read() == expected, path


traffic = Traffic(mount)
data = rng.randbytes(5_000_000)
source = os.open("ranges", os.O_RDWR | os.O_CREAT)
os.write(source, data)
target = os.open("ranges-copy", os.O_RDWR | os.O_CREAT)
expected = bytearray()
for _ in range(40):
    start, at = rng.randrange(len(data)), rng.randrange(6_000_000)
    length = rng.choice([1, 4096, 100_000, 3_000_000]) + rng.randrange(100)
    # Some of it is still in the client's memory.
    piece = rng.randbytes(rng.randrange(1, 5000))
    os.pwrite(source, piece, start)
    data = data[:start] + piece + data[start + len(piece) :]
    copied = copy(source, start, target, at, length)
    assert copied == min(length, len(data) - start), (copied, start, length)
    if at > len(expected):
        expected += bytes(at - len(expected))
    expected[at : at + copied] = data[start : start + copied]
    if rng.randrange(4) == 0:
        assert os.pread(target, len(expected) + 1, 0) == expected
assert traffic["COPY"].count >= 40, traffic["COPY"]
assert copy(source, len(data), target, 0, 100) == 0
assert copy(source, len(data) + 100, target, 0, 100) == 0
same("ranges-copy", expected)
same("ranges", data)

# The client itself does it within one file.
assert copy(source, 0, source, 4_000_000, 500_000) == 500_000
data = data[:4_000_000] + data[:500_000] + data[4_500_000:]
try:
    os.copy_file_range(source, source, 1000, 0, 500)
except OSError as error:
    assert error.errno == errno.EINVAL, error
else:
    raise AssertionError("copied onto itself")
same("ranges", data)

# From one share to another of the same server.
elsewhere = Traffic(other)
there = os.open(f"{other}/ranges", os.O_RDWR | os.O_CREAT)
assert copy(source, 0, there, 0, len(data)) == len(data)
assert elsewhere["COPY"].count >= 1 and elsewhere["WRITE"].count == 0, elsewhere["COPY"]
same(f"{other}/ranges", data)

# Who may not write does not.
reading = os.open("ranges-copy", os.O_RDONLY)
try:
    os.copy_file_range(source, reading, 1000)
except OSError as error:
    assert error.errno == errno.EBADF, error
else:
    raise AssertionError("copied by a reader")
