"""What a mount has asked of the server, from /proc/self/mountstats."""

import collections

Op = collections.namedtuple("Op", "count sent received errors")
NONE = Op(0, 0, 0, 0)


def of(mount):
    """By operation: how often, how many bytes each way, how many of them failed."""
    found, here = collections.defaultdict(lambda: NONE), False
    with open("/proc/self/mountstats") as stats:
        for line in stats:
            if line.startswith("device "):
                here = f" mounted on {mount} with " in line
                if here:
                    found.clear()
            name, colon, numbers = line.strip().partition(": ")
            numbers = numbers.split()
            if here and colon and name.isupper() and len(numbers) >= 9:
                found[name] = Op(*(int(numbers[i]) for i in (0, 3, 4, 8)))
    return found


class Traffic:
    """What was asked since it was made."""

    def __init__(self, mount):
        self.mount = mount
        self.before = of(mount)

    def __getitem__(self, name):
        after, before = of(self.mount)[name], self.before[name]
        return Op(*(a - b for a, b in zip(after, before)))

    def moved(self):
        """Bytes of files that went over the wire, and a little more."""
        return self["READ"].received + self["READ_PLUS"].received + self["WRITE"].sent
