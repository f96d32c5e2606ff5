"""What the steps share."""

import os


def drop():
    """Makes the next look go to the server."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")
