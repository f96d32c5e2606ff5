"""pairs.py DIRECTORY OPERATIONS SEED: two files, and what each must be in memory. Random writes, truncations, holes,
allocations, and copies and clones from one to the other and within one; clones only if CLONING names the share."""

import collections
import ctypes
import errno
import fcntl
import mmap
import os
import random
import struct
import sys

import caches
from traffic import Traffic

LARGEST = 1 << 20
BLOCK = 4096
FICLONE, FICLONERANGE = 0x40049409, 0x4020940D
PUNCH_HOLE = 3


class File:
    def __init__(self, path):
        self.path, self.is_to_be = path, bytearray()
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def put(self, at, data):
        if data and at > len(self.is_to_be):
            self.is_to_be += bytes(at - len(self.is_to_be))
        self.is_to_be[at : at + len(data)] = data

    def check(self, start=0, end=LARGEST * 2):
        found = os.pread(self.fd, end - start, start)
        expected = self.is_to_be[start:end]
        if found != expected:
            at = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
            raise AssertionError(f"{self.path}: differs from {start + at} on; {len(found)} bytes of {len(expected)}")
        assert os.fstat(self.fd).st_size == len(self.is_to_be)


class Pair:
    def __init__(self, directory, seed):
        self.random = random.Random(seed)
        self.files = [File(f"{directory}/pair-{seed}-{name}") for name in "ab"]

    def range(self):
        start = self.random.randrange(LARGEST)
        return start, min(LARGEST - start, self.random.randrange(1, self.random.choice([100, 10_000, 300_000])))

    def one(self):
        return self.random.choice(self.files)

    def write(self):
        file, (start, length) = self.one(), self.range()
        data = self.random.randbytes(length)
        assert os.pwrite(file.fd, data, start) == length
        file.put(start, data)

    def map(self):
        file = self.one()
        if not file.is_to_be:
            return
        with mmap.mmap(file.fd, len(file.is_to_be)) as memory:
            start = self.random.randrange(len(file.is_to_be))
            data = self.random.randbytes(min(5000, len(file.is_to_be) - start))
            memory[start : start + len(data)] = data
            file.put(start, data)

    def read(self):
        start, length = self.range()
        self.one().check(start, start + length)

    def truncate(self):
        file, to = self.one(), self.random.randrange(LARGEST)
        os.ftruncate(file.fd, to)
        del file.is_to_be[to:]
        file.is_to_be += bytes(to - len(file.is_to_be))

    def punch(self):
        file, (start, length) = self.one(), self.range()
        libc_fallocate(file.fd, PUNCH_HOLE, start, length)
        length = min(length, len(file.is_to_be) - start)
        if length > 0:
            file.put(start, bytes(length))

    def allocate(self):
        file, (start, length) = self.one(), self.range()
        os.posix_fallocate(file.fd, start, length)
        file.is_to_be += bytes(max(0, start + length - len(file.is_to_be)))

    def copy(self):
        source, target = self.random.sample(self.files, 2)
        (start, length), at = self.range(), self.random.randrange(LARGEST)
        length = max(0, min(length, len(source.is_to_be) - start, LARGEST - at))
        # Linux sends what it holds back of the range, not what is beyond it and makes the file as long as it is; past the
        # end that the server knows there is nothing to copy (RFC 7862 §15.2.3), whoever serves.
        os.fsync(source.fd)
        done = 0
        while done < length:
            copied = os.copy_file_range(source.fd, target.fd, length - done, start + done, at + done)
            assert copied > 0, f"copied {done} of {length}"
            done += copied
        target.put(at, source.is_to_be[start : start + length])

    def clone(self):
        source, target = self.random.sample(self.files, 2)
        # The rest of the source's last block would overwrite what the target has there.
        torn = len(source.is_to_be) % BLOCK and len(source.is_to_be) < len(target.is_to_be)
        try:
            fcntl.ioctl(target.fd, FICLONE, source.fd)
            assert not torn, "cloned a part of a block"
        except OSError as error:
            assert torn and error.errno == errno.EINVAL, error
            return
        target.put(0, source.is_to_be)

    def clone_range(self):
        source, target = self.one(), self.one()
        blocks = len(source.is_to_be) // BLOCK
        if blocks < 2:
            return
        start = self.random.randrange(blocks)
        length = self.random.randrange(1, blocks - start + 1)
        at = self.random.randrange(LARGEST // BLOCK - length)
        if source is target and abs(at - start) < length:
            return
        start, length, at = start * BLOCK, length * BLOCK, at * BLOCK
        fcntl.ioctl(target.fd, FICLONERANGE, struct.pack("=qQQQ", source.fd, start, length, at))
        target.put(at, source.is_to_be[start : start + length])

    def reopen(self):
        file = self.one()
        os.close(file.fd)
        file.fd = os.open(file.path, os.O_RDWR)

    def forget(self):
        caches.drop()
        for file in self.files:
            file.check()

    def steps(self, cloning):
        weights = {
            self.write: 10, self.map: 4, self.read: 15, self.truncate: 3, self.punch: 6, self.allocate: 4,
            self.copy: 10, self.reopen: 4, self.forget: 1,
        }
        if cloning:
            weights |= {self.clone: 2, self.clone_range: 8}
        while True:
            yield self.random.choices(list(weights), list(weights.values()))[0]


def libc_fallocate(fd, mode, start, length):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fallocate64(fd, mode, ctypes.c_int64(start), ctypes.c_int64(length)) != 0:
        raise OSError(ctypes.get_errno(), f"fallocate {mode} {start} {length}")


def main(directory, operations, seed):
    traffic = Traffic(directory)
    pair = Pair(directory, int(seed))
    cloning = os.path.basename(directory) in os.environ["CLONING"].split()
    done = collections.Counter()
    for number, step in zip(range(int(operations)), pair.steps(cloning)):
        try:
            step()
        except (AssertionError, OSError) as error:
            raise AssertionError(f"operation {number}, {step.__name__}") from error
        done[step.__name__] += 1
    pair.forget()
    print(dict(done), {name: traffic[name].count for name in ("COPY", "CLONE", "ALLOCATE", "DEALLOCATE")})
    for name in ("COPY", "ALLOCATE", "DEALLOCATE") + ("CLONE",) * cloning:
        assert traffic[name].count > 0, name


main(*sys.argv[1:])
