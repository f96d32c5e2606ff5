"""Two processes contend for flock and fcntl locks on one file, which each sees through a path of its own."""

import errno
import fcntl
import os
import sys
import time

ROUNDS = 40


def flock(fd, kind, block):
    fcntl.flock(fd, kind | (0 if block else fcntl.LOCK_NB))


def record(fd, kind, block):
    fcntl.lockf(fd, kind | (0 if block else fcntl.LOCK_NB), 100, 0)


def refused(lock, fd, kind):
    try:
        lock(fd, kind, False)
    except OSError as error:
        assert error.errno in (errno.EAGAIN, errno.EACCES), error
        return True
    return False


def spawn(work):
    """Runs `work` in a child; the caller waits for it with `finished`."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print("child:", repr(error), flush=True)
        os._exit(status)
    return child


def finished(child):
    _, status = os.waitpid(child, 0)
    assert status == 0, f"child ended with {status}"


def exclusion(lock, mine, theirs):
    """What one holds the other is refused; shared locks go together; the end of the holder frees."""
    fd = os.open(mine, os.O_RDWR)
    lock(fd, fcntl.LOCK_EX, True)

    def other():
        fd = os.open(theirs, os.O_RDWR)
        assert refused(lock, fd, fcntl.LOCK_EX), "exclusive against exclusive"
        assert refused(lock, fd, fcntl.LOCK_SH), "shared against exclusive"
        os.close(fd)

    finished(spawn(other))

    lock(fd, fcntl.LOCK_UN, True)
    lock(fd, fcntl.LOCK_SH, True)

    def reader():
        fd = os.open(theirs, os.O_RDWR)
        lock(fd, fcntl.LOCK_SH, False)
        assert refused(lock, fd, fcntl.LOCK_EX), "exclusive against shared"
        os._exit(0)  # Ends with its lock held.

    finished(spawn(reader))
    lock(fd, fcntl.LOCK_UN, True)
    lock(fd, fcntl.LOCK_EX, False)
    os.close(fd)


def waiting(lock, mine, theirs):
    """A blocked request is granted after the holder lets go, not before."""
    go, ready = os.pipe()
    fd = os.open(mine, os.O_RDWR)
    lock(fd, fcntl.LOCK_EX, True)

    def waiter():
        fd = os.open(theirs, os.O_RDWR)
        os.write(ready, b"x")
        lock(fd, fcntl.LOCK_EX, True)
        assert os.pread(fd, 8, 200) == b"released", "granted while it was held"

    child = spawn(waiter)
    os.read(go, 1)
    time.sleep(0.5)
    os.pwrite(fd, b"released", 200)
    lock(fd, fcntl.LOCK_UN, True)
    finished(child)
    os.close(fd)


def counting(lock, mine, theirs):
    """No increment is lost: the lock orders the writes and keeps stale data out of the caches."""

    def count(path):
        fd = os.open(path, os.O_RDWR)
        for _ in range(ROUNDS):
            while refused(lock, fd, fcntl.LOCK_EX):
                time.sleep(0.005)
            value = int(os.pread(fd, 8, 300))
            os.pwrite(fd, b"%08d" % (value + 1), 300)
            lock(fd, fcntl.LOCK_UN, True)
        os.close(fd)

    with open(mine, "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), b"%08d" % 0, 300)
    children = [spawn(lambda: count(mine)), spawn(lambda: count(theirs))]
    for child in children:
        finished(child)
    fd = os.open(mine, os.O_RDWR)
    lock(fd, fcntl.LOCK_EX, True)
    total = int(os.pread(fd, 8, 300))
    os.close(fd)
    assert total == 2 * ROUNDS, f"{total} of {2 * ROUNDS} increments"


def ranges(mine, theirs):
    """Record locks meet only where they overlap, and a lock can be split."""
    fd = os.open(mine, os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 100, 0)
    fcntl.lockf(fd, fcntl.LOCK_UN, 20, 40)

    def other():
        fd = os.open(theirs, os.O_RDWR)
        for start, length, free in [(0, 10, False), (40, 20, True), (60, 1, False), (100, 0, True), (39, 2, False)]:
            try:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
                got = True
            except OSError:
                got = False
            assert got == free, f"{length} bytes at {start}: got {got}"
        os.close(fd)

    finished(spawn(other))
    os.close(fd)


def main():
    mine, theirs = sys.argv[1:]
    with open(mine, "wb") as file:
        file.truncate(1000)
    # The other mount may have the directory cached without this file.
    os.stat(theirs)
    for lock in (flock, record):
        for check in (exclusion, waiting, counting):
            begin = time.time()
            check(lock, mine, theirs)
            print(lock.__name__, check.__name__, f"{time.time() - begin:.2f} s", flush=True)
    ranges(mine, theirs)
    os.unlink(mine)


main()
