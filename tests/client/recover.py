"""Locks over a restart of the server: recover.py MACHINE DIRECTORY SHARED"""

import errno
import fcntl
import os
import sys
import time

FILES = 20
RANGES = [(0, 10), (20, 10), (1 << 40, 0)]


def main(machine, directory, shared):
    def tell(word):
        open(f"{shared}/{word}", "w").close()

    def await_(word):
        while not os.path.exists(f"{shared}/{word}"):
            time.sleep(0.1)

    paths = [f"{directory}/locked{number}" for number in range(FILES)]
    {"0": holder, "1": contender}[machine](paths, tell, await_)


def holder(paths, tell, await_):
    files = [os.open(path, os.O_RDWR | os.O_CREAT) for path in paths]
    for fd in files:
        for start, length in RANGES:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
        os.pwrite(fd, b"before", 0)
        os.fsync(fd)
    tell("held")
    await_("restarted")
    # The first request after the restart finds that everything has to be taken back; a lock that was lost is EIO.
    for fd in files:
        assert os.pread(fd, 6, 0) == b"before"
        os.pwrite(fd, b"after!", 0)
        os.fsync(fd)
    tell("recovered")
    await_("tried")
    for fd in files:
        assert os.pread(fd, 6, 0) == b"after!"
        os.close(fd)
    tell("released")


def refused(fd, start, length):
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EACCES), error
        return True
    return False


def contender(paths, tell, await_):
    files = [os.open(path, os.O_RDWR) for path in paths]

    def all_refused():
        for path, fd in zip(paths, files):
            for start, length in RANGES:
                assert refused(fd, start, max(1, length // 2)), f"got {path} at {start}"

    all_refused()
    # What is free between them it may have, and take back too.
    fcntl.lockf(files[0], fcntl.LOCK_EX | fcntl.LOCK_NB, 5, 12)
    tell("contending")
    await_("restarted")
    all_refused()
    await_("recovered")
    all_refused()
    tell("tried")
    await_("released")
    for fd in files:
        for start, length in RANGES:
            fcntl.lockf(fd, fcntl.LOCK_EX, length, start)
        assert os.pread(fd, 6, 0) == b"after!"


main(*sys.argv[1:])
