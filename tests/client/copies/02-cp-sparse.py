"""`cp --sparse` in its three kinds, of a file with holes and with zeros that are none."""

import os
import subprocess

import caches

MIB = 1 << 20
os.chdir(os.environ["MOUNT"])
data = os.urandom(MIB)
with open("holes", "wb") as file:
    for offset in (0, 10 * MIB, 30 * MIB + 12345):
        os.pwrite(file.fileno(), data, offset)
    os.pwrite(file.fileno(), bytes(4 * MIB), 20 * MIB)
    file.truncate(40 * MIB)
caches.drop()
with open("holes", "rb") as file:
    whole = file.read()


def blocks(path):
    caches.drop()
    with open(path, "rb") as file:
        assert file.read() == whole, path
    return os.stat(path).st_blocks * 512


least, most = 3 * MIB, 8 * MIB
assert least <= blocks("holes") <= most
for kind in "auto", "always", "never":
    subprocess.run(["cp", f"--sparse={kind}", "holes", kind], check=True)
auto, always, never = blocks("auto"), blocks("always"), blocks("never")
print(f"auto {auto}, always {always}, never {never}")
assert least <= auto <= most, auto
# Zeros that took room take none in the copy.
assert least <= always <= most - 3 * MIB, always
assert auto <= never
