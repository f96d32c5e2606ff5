# Machine 0 takes a lock and is about to lose its power; machine 1 waits for the lock and gets it when the lease is over.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"
export PYTHONDONTWRITEBYTECODE=1

[ "$MACHINE" -eq 0 ] || await held
step mount mount_share "$VERSION" export /run/export
[ "$failures" -eq 0 ] || exit 1
step lock timeout "$STEP_LIMIT" python3 - "$MACHINE" /run/export/locked $shared <<'END'
import fcntl, os, sys, time

machine, path, shared = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT)
if machine == "0":
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.write(fd, b"first")
    os.fsync(fd)
    open(f"{shared}/held", "w").close()
    time.sleep(1000)
try:
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    sys.exit("granted while it was held")
except OSError:
    pass
open(f"{shared}/contending", "w").close()
fcntl.lockf(fd, fcntl.LOCK_EX)
assert os.read(fd, 5) == b"first"
assert os.path.exists(f"{shared}/killed"), "granted while its holder lived"
END
step unmount umount /run/export
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
