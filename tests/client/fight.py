"""Two machines fight over one file. Whatever one reads under a lock must be what one of the two wrote last there.
(Not through mmap: Linux 6.1 keeps pages of a file that was mapped past a lock, whoever serves.)

fight.py work FILE NAME SECONDS LEDGER   works on FILE, and adds to LEDGER how often it wrote each block
fight.py verify FILE LEDGER...           every write of all ledgers is in FILE, none is lost
"""

import fcntl
import json
import os
import random
import struct
import sys
import time
import zlib

BLOCK = 8192
BLOCKS = 48
# Block 0 says how long the tail behind the blocks is, and its checksum.
BODY = BLOCKS * BLOCK
TAIL_MOST = 5 * BLOCK
HEADER = struct.Struct("<4sIQI")
CONTROL = struct.Struct("<QI")
ALL = 0


def payload(writer, seq, block):
    return random.Random(f"{writer}/{seq}/{block}").randbytes(BLOCK - HEADER.size)


def image(writer, seq, block, control=b""):
    body = (control + payload(writer, seq, block))[: BLOCK - HEADER.size]
    return HEADER.pack(b"dfsf", writer, seq, zlib.crc32(body)) + body


def parsed(data, block):
    assert len(data) == BLOCK, f"block {block}: {len(data)} bytes"
    magic, writer, seq, crc = HEADER.unpack_from(data)
    body = data[HEADER.size :]
    assert magic == b"dfsf", f"block {block}: no header: {data[:32]!r}"
    assert zlib.crc32(body) == crc, f"block {block} of {writer}, write {seq}: torn"
    control = body[: CONTROL.size] if block == 0 else b""
    assert data == image(writer, seq, block, control), f"block {block} of {writer}, write {seq}: another's bytes"
    return seq, control


class Arena:
    def __init__(self, path, name):
        self.path, self.name = path, name
        self.random = random.Random(f"{name} {time.time()}")
        self.seen = [0] * BLOCKS
        self.writes = [0] * BLOCKS
        self.operations = 0
        self.fd = os.open(path, os.O_RDWR)

    def lock(self, kind, start, length):
        """Blocks in the kernel, which asks the server ever more seldom, or asks again and again."""
        if self.random.random() < 0.1:
            fcntl.lockf(self.fd, kind, length, start)
            return
        while True:
            try:
                fcntl.lockf(self.fd, kind | fcntl.LOCK_NB, length, start)
                return
            except (BlockingIOError, PermissionError):
                time.sleep(self.random.random() * 0.01)

    def unlock(self, start, length):
        fcntl.lockf(self.fd, fcntl.LOCK_UN, length, start)

    def read_block(self, block):
        data = os.pread(self.fd, BLOCK, block * BLOCK)
        seq, control = parsed(data, block)
        assert seq >= self.seen[block], f"block {block} went back from {self.seen[block]} to {seq}"
        self.seen[block] = seq
        return seq, control

    def write_block(self, block, seq, control=b""):
        data = image(self.name, seq, block, control)
        offset = block * BLOCK
        way = self.random.random()
        if way < 0.3:
            cut = self.random.randrange(1, BLOCK)
            assert os.pwrite(self.fd, data[cut:], offset + cut) == BLOCK - cut
            assert os.pwrite(self.fd, data[:cut], offset) == cut
        else:
            assert os.pwrite(self.fd, data, offset) == BLOCK
        if self.random.random() < 0.1:
            os.fsync(self.fd)
        self.writes[block] += 1
        self.seen[block] = seq

    def reads(self):
        first = self.random.randrange(BLOCKS)
        last = min(BLOCKS, first + self.random.randrange(1, 9))
        self.lock(fcntl.LOCK_SH, first * BLOCK, (last - first) * BLOCK)
        for block in range(first, last):
            self.read_block(block)
        self.unlock(first * BLOCK, (last - first) * BLOCK)

    def writes_one(self):
        block = self.random.randrange(1, BLOCKS)
        self.lock(fcntl.LOCK_EX, block * BLOCK, BLOCK)
        seq, _ = self.read_block(block)
        self.write_block(block, seq + 1)
        self.unlock(block * BLOCK, BLOCK)

    def changes_tail(self):
        """Grows, cuts and rewrites what lies behind the blocks; size and content are as the control block says."""
        self.lock(fcntl.LOCK_EX, 0, ALL)
        seq, control = self.read_block(0)
        length, crc = CONTROL.unpack(control)
        size = os.fstat(self.fd).st_size
        assert size == BODY + length, f"size {size}, expected {BODY + length}"
        tail = bytearray(os.pread(self.fd, TAIL_MOST + 1, BODY))
        assert len(tail) == length and zlib.crc32(tail) == crc, f"tail of {length} bytes is not as it was left"
        to = self.random.randrange(TAIL_MOST)
        way = self.random.random()
        if way < 0.4:
            os.ftruncate(self.fd, BODY + to)
            tail = tail[:to] + bytes(max(0, to - length))
        else:
            data = self.random.randbytes(self.random.randrange(1, BLOCK))[: TAIL_MOST - to]
            assert os.pwrite(self.fd, data, BODY + to) == len(data)
            if to > len(tail):
                tail += bytes(to - len(tail))
            tail[to : to + len(data)] = data
        self.write_block(0, seq + 1, CONTROL.pack(len(tail), zlib.crc32(tail)))
        self.unlock(0, ALL)

    def reopens(self):
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_RDWR)

    def step(self):
        ways = [self.reads, self.writes_one, self.changes_tail, self.reopens]
        self.random.choices(ways, [40, 45, 10, 5])[0]()
        self.operations += 1


def create(path):
    with open(path, "xb") as file:
        for block in range(BLOCKS):
            file.write(image(0, 0, block, CONTROL.pack(0, zlib.crc32(b"")) if block == 0 else b""))


def work(path, name, seconds, ledger):
    arena = Arena(path, int(name))
    end = time.time() + float(seconds)
    while time.time() < end:
        arena.step()
    os.close(arena.fd)
    with open(ledger, "a") as file:
        file.write(json.dumps(arena.writes) + "\n")
    print(f"{arena.operations} operations, {sum(arena.writes)} writes")


def verify(path, *ledgers):
    expected = [0] * BLOCKS
    for ledger in ledgers:
        with open(ledger) as file:
            for line in file:
                expected = [a + b for a, b in zip(expected, json.loads(line))]
    with open(path, "rb") as file:
        for block in range(BLOCKS):
            seq, control = parsed(file.read(BLOCK), block)
            assert seq == expected[block], f"block {block}: {expected[block] - seq} of {expected[block]} writes lost"
            if block == 0:
                length, crc = CONTROL.unpack(control)
        tail = file.read()
    assert len(tail) == length and zlib.crc32(tail) == crc, "tail"
    assert sum(expected) > 200, "hardly a fight"
    print(f"{sum(expected)} writes, none lost")


{"create": create, "work": work, "verify": verify}[sys.argv[1]](*sys.argv[2:])
