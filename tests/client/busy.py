"""busy.py SECONDS MANIFEST MOUNT...: one process per mount of the same share writes, rewrites, renames, removes and
reads back, its own files and, once both are done, everybody's. MANIFEST gets what must then be there, as sha256sum
prints it."""

import hashlib
import os
import random
import sys
import time

FILES = 40


def work(seconds, mount, name):
    rng = random.Random(name)
    directory = os.path.join(mount, name)
    os.mkdir(directory)
    there = {}
    rounds = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rounds += 1
        path = f"file{rng.randrange(FILES)}"
        full = os.path.join(directory, path)
        what = rng.randrange(10)
        if path not in there or what < 4:
            there[path] = rng.randbytes(rng.randrange(1, 200_000))
            with open(full, "wb") as file:
                file.write(there[path])
        elif what < 6:
            at = rng.randrange(len(there[path]))
            piece = rng.randbytes(rng.randrange(1, 10_000))
            there[path] = there[path][:at] + piece + there[path][at + len(piece):]
            with open(full, "r+b") as file:
                file.seek(at)
                file.write(piece)
        elif what == 6:
            to = f"file{rng.randrange(FILES)}"
            os.rename(full, os.path.join(directory, to))
            there[to] = there.pop(path)
        elif what == 7:
            os.remove(full)
            del there[path]
        else:
            check(full, there[path])
    assert rounds > seconds, f"{rounds} rounds in {seconds} s"
    assert sorted(os.listdir(directory)) == sorted(there)
    return {f"{name}/{path}": hashlib.sha256(data).hexdigest() for path, data in there.items()}


def check(path, data):
    with open(path, "rb") as file:
        assert file.read() == data, f"{path} is not what was written"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main():
    seconds, manifest, mounts = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    children = []
    for number, mount in enumerate(mounts):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            with os.fdopen(write, "w") as out:
                for path, sum in work(seconds, mount, f"busy{number}").items():
                    print(f"{sum}  {path}", file=out)
            os._exit(0)
        os.close(write)
        children.append((child, read))
    lines = []
    for child, read in children:
        with os.fdopen(read) as results:
            lines += results.read().splitlines()
        assert os.waitpid(child, 0)[1] == 0
    # What one mount wrote and closed, every other one sees.
    for line in lines:
        sum, path = line.split("  ")
        for mount in mounts:
            assert digest(os.path.join(mount, path)) == sum, f"{path} differs on {mount}"
    with open(manifest, "w") as out:
        out.write("".join(line + "\n" for line in lines))


main()
