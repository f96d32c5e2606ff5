"""chmod, chown, utimes, truncate; what is set is what a fresh look at the server shows."""

import os
import stat
import time

import caches

with open("attributes", "wb") as file:
    file.write(b"0123456789" * 1000)


def fresh():
    caches.drop()
    return os.stat("attributes")


for mode in (0o600, 0o4755, 0o2711, 0o000, 0o1644, 0o644):
    os.chmod("attributes", mode)
    assert stat.S_IMODE(fresh().st_mode) == mode, oct(mode)

# A server that is not root can give no file away.
if os.environ["SERVER_IS_ROOT"]:
    os.chown("attributes", 12345, 54321)
    state = fresh()
    assert (state.st_uid, state.st_gid) == (12345, 54321), state
    os.chown("attributes", -1, 7)
    state = fresh()
    assert (state.st_uid, state.st_gid) == (12345, 7), state
    os.chown("attributes", 0, 0)

os.utime("attributes", ns=(1_000_000_001_123_456_789, 1_500_000_000_987_654_321))
state = fresh()
assert state.st_atime_ns == 1_000_000_001_123_456_789, state
assert state.st_mtime_ns == 1_500_000_000_987_654_321, state
os.utime("attributes")
assert abs(fresh().st_mtime - time.time()) < 600

before = fresh()
os.truncate("attributes", 12)
state = fresh()
assert state.st_size == 12, state
assert state.st_ctime_ns > before.st_ctime_ns
with open("attributes", "rb") as file:
    assert file.read() == b"012345678901"
os.truncate("attributes", 20)
with open("attributes", "rb") as file:
    assert file.read() == b"012345678901" + bytes(8)

# A server that is not root has one identity for all.
if os.environ["SERVER_IS_ROOT"]:
    os.chmod("attributes", 0o640)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            open("attributes", "rb")
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0, "another user may read what the mode forbids"
