"""1,000 attributes, the largest values and names, and what may not be done. Values of 64 KiB and so many attributes need
a file system that has room for them."""

import errno
import os
import random

import caches

os.chdir(os.environ["MOUNT"])
open("bounds", "w").close()


def fails(code, act, *arguments):
    try:
        act(*arguments)
    except OSError as error:
        assert error.errno == code, (error, arguments[1])
    else:
        raise AssertionError(f"done: {arguments[1:]}")


rng = random.Random(5)
expected = {}
for number in range(1000):
    name = f"user.{number:04}-{'n' * rng.randrange(40)}"
    expected[name] = rng.randbytes(rng.randrange(50))
    os.setxattr("bounds", name, expected[name])


def all_there():
    caches.drop()
    # The client itself adds some of other namespaces.
    listed = [name for name in os.listxattr("bounds") if name.startswith("user.")]
    assert sorted(listed) == sorted(expected), f"{len(listed)} of {len(expected)}"
    for name, value in expected.items():
        assert os.getxattr("bounds", name) == value, name


all_there()
for name in list(expected)[::3]:
    os.removexattr("bounds", name)
    del expected[name]
all_there()
for name in list(expected):
    os.removexattr("bounds", name)
expected.clear()
all_there()

for size in (4095, 4096, 4097, 60_000, 65_535, 65_536):
    expected[f"user.{size}"] = rng.randbytes(size)
    os.setxattr("bounds", f"user.{size}", expected[f"user.{size}"])
all_there()
fails(errno.E2BIG, os.setxattr, "bounds", "user.large", bytes(65_537))

longest = "user." + "l" * (255 - len("user."))
expected[longest] = b"of the longest name"
os.setxattr("bounds", longest, expected[longest])
all_there()
fails(errno.ERANGE, os.setxattr, "bounds", longest + "l", b"")

fails(errno.EEXIST, os.setxattr, "bounds", longest, b"", os.XATTR_CREATE)
fails(errno.ENODATA, os.setxattr, "bounds", "user.new", b"", os.XATTR_REPLACE)
fails(errno.ENODATA, os.getxattr, "bounds", "user.new")
fails(errno.ENODATA, os.removexattr, "bounds", "user.new")
os.setxattr("bounds", "user.new", b"1", os.XATTR_CREATE)
os.setxattr("bounds", "user.new", b"2", os.XATTR_REPLACE)
expected["user.new"] = b"2"
all_there()

# Who may not write the file may not set them, and who may not read it may not read them.
os.chmod("bounds", 0o644)
os.chmod(".", 0o755)


def as_nobody(act, *arguments):
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        try:
            act(*arguments)
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


assert as_nobody(os.getxattr, "bounds", "user.new") == 0
assert as_nobody(os.setxattr, "bounds", "user.new", b"3") in (errno.EACCES, errno.EPERM)
assert as_nobody(os.removexattr, "bounds", "user.new") in (errno.EACCES, errno.EPERM)
os.chmod("bounds", 0o600)
caches.drop()
assert as_nobody(os.getxattr, "bounds", "user.new") == errno.EACCES
all_there()
