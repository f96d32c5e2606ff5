"""`cp --reflink`: on each share as on the file system behind it. CLONING names the shares that can."""

import errno
import fcntl
import os
import struct
import subprocess

import caches
from traffic import Traffic

FICLONE, FICLONERANGE = 0x40049409, 0x4020940D
MIB = 1 << 20


def read(path):
    with open(path, "rb") as file:
        return file.read()


def clone_range(source, start, length, target, at):
    with open(source, "rb") as file, open(target, "r+b") as other:
        fcntl.ioctl(other, FICLONERANGE, struct.pack("=qQQQ", file.fileno(), start, length, at))


def refused(code, *arguments):
    try:
        clone_range(*arguments)
    except OSError as error:
        assert error.errno == code, error
    else:
        raise AssertionError(f"cloned: {arguments}")


def clones(mount):
    data = os.urandom(8 * MIB)
    with open("source", "wb") as file:
        file.write(data)
        os.fsync(file.fileno())
    traffic = Traffic(mount)
    subprocess.run(["cp", "--reflink=always", "source", "clone"], check=True)
    assert traffic["CLONE"].count == 1, traffic["CLONE"]
    assert traffic.moved() < 65536, traffic.moved()
    caches.drop()
    assert read("clone") == data

    # One of the two changes, and the other does not.
    with open("clone", "r+b") as file:
        os.pwrite(file.fileno(), b"changed", 5000)
    assert read("source") == data
    changed = data[:5000] + b"changed" + data[5007:]
    assert read("clone") == changed

    # What the client has not yet written, and what it has read, are not in the way.
    with open("dirty", "wb") as file, open("clone", "r+b") as other:
        file.write(data[::-1])
        file.flush()
        assert os.pread(other.fileno(), 100, 0) == changed[:100]
        with open("dirty", "rb") as source:
            fcntl.ioctl(other, FICLONE, source.fileno())
        assert os.pread(other.fileno(), 8 * MIB, 0) == data[::-1]

    # Ranges, in another file and in the same; what ends before the source's end must end on a block.
    clone_range("source", MIB, MIB, "clone", 3 * MIB)
    expected = bytearray(data[::-1])
    expected[3 * MIB : 4 * MIB] = data[MIB : 2 * MIB]
    assert read("clone") == expected
    clone_range("clone", 3 * MIB, MIB, "clone", 20 * MIB)
    expected += bytes(12 * MIB) + expected[3 * MIB : 4 * MIB]
    caches.drop()
    assert read("clone") == expected
    refused(errno.EINVAL, "source", 1, MIB, "clone", 0)
    refused(errno.EINVAL, "source", 0, MIB, "clone", 1)
    refused(errno.EINVAL, "source", 0, MIB + 1, "clone", 0)
    refused(errno.EINVAL, "source", 0, 9 * MIB, "clone", 0)
    caches.drop()
    assert read("clone") == expected
    assert read("source") == data
    os.unlink("dirty")


def does_not(mount):
    data = os.urandom(MIB)
    with open("source", "wb") as file:
        file.write(data)
    result = subprocess.run(["cp", "--reflink=always", "source", "clone"], capture_output=True, text=True)
    assert result.returncode == 1 and "Operation not supported" in result.stderr, result
    # A plain cp goes on by COPY.
    traffic = Traffic(mount)
    subprocess.run(["cp", "source", "copy"], check=True)
    assert traffic["COPY"].count >= 1, traffic["COPY"]
    assert traffic["READ"].count == 0, traffic["READ"]
    caches.drop()
    assert read("copy") == data


for share in os.environ["SHARES"].split():
    mount = f"/run/{share}"
    os.mkdir(f"{mount}/clones")
    os.chdir(f"{mount}/clones")
    can = share in os.environ["CLONING"].split()
    (clones if can else does_not)(mount)
    print(share, "clones" if can else "does not")
    os.chdir("/")
