"""SEEK_DATA and SEEK_HOLE. The harness compares `maps.json` with what the file system on the server says."""

import errno
import json
import os
import random
import subprocess

from traffic import Traffic

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
mount = os.environ["MOUNT"]
os.chdir(mount)
os.mkdir("seek")
traffic = Traffic(mount)


def seek(fd, offset, whence):
    try:
        return os.lseek(fd, offset, whence)
    except OSError as error:
        assert error.errno == errno.ENXIO, error
        return None


def runs(fd):
    """Where data begins and ends, until there is no more."""
    found, at = [], 0
    while (start := seek(fd, at, os.SEEK_DATA)) is not None:
        at = seek(fd, start, os.SEEK_HOLE)
        found.append([start, at])
    return found


def make(name, *writes, size=None):
    with open(f"seek/{name}", "wb") as file:
        for offset, length in writes:
            os.pwrite(file.fileno(), os.urandom(length), offset)
        if size is not None:
            file.truncate(size)


make("empty")
make("hole", size=3 * GIB)
make("whole", (0, 300_000))
make("middle", (MIB, 64 * KIB), size=2 * MIB)
make("end", (10 * GIB, 7))
make("begin", (0, 1), size=GIB)
rng = random.Random(42)
for number in range(8):
    pieces = [(rng.randrange(200) * 64 * KIB, rng.randrange(1, 100_000)) for _ in range(30)]
    make(f"random{number}", *pieces)
make("punched", (0, 4 * MIB))
subprocess.run(["fallocate", "-p", "-o", "1MiB", "-l", "1MiB", "seek/punched"], check=True)
make("allocated", (0, 4 * KIB))
subprocess.run(["fallocate", "-o", "1MiB", "-l", "1MiB", "seek/allocated"], check=True)

maps = {}
for name in sorted(os.listdir("seek")):
    fd = os.open(f"seek/{name}", os.O_RDONLY)
    size = os.fstat(fd).st_size
    offsets = [0, 1, 4095, size - 1, size, size + 1] + [rng.randrange(size + 1) for _ in range(50)]
    asked = {offset: [seek(fd, offset, os.SEEK_DATA), seek(fd, offset, os.SEEK_HOLE)] for offset in offsets if offset >= 0}
    maps[name] = {"runs": runs(fd), "asked": asked}
    os.close(fd)
assert maps["empty"]["runs"] == [] and maps["hole"]["runs"] == []
assert maps["whole"]["runs"] == [[0, 300_000]], maps["whole"]["runs"]
assert traffic["SEEK"].count > 500, traffic["SEEK"]
assert traffic["READ"].count == 0, traffic["READ"]

# What was written and not yet sent is data, too.
with open("seek/late", "wb") as file:
    os.pwrite(file.fileno(), b"late", 8 * MIB)
    assert 0 < seek(file.fileno(), 0, os.SEEK_DATA) <= 8 * MIB
    assert seek(file.fileno(), 8 * MIB, os.SEEK_DATA) == 8 * MIB
os.unlink("seek/late")
with open("/run/scratch/maps.json", "w") as out:
    json.dump(maps, out)
