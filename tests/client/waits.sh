# Machine 1 waits for a lock of machine 0, which gives it back a while later.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"
export PYTHONDONTWRITEBYTECODE=1

[ "$MACHINE" -eq 0 ] || await held
step mount mount_share 4.1 export /run/export
[ "$failures" -eq 0 ] || exit 1
step lock timeout "$STEP_LIMIT" python3 - "$MACHINE" /run/export/locked $shared <<'END'
import fcntl, os, sys, time

machine, path, shared = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CREAT)
if machine == "0":
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    open(f"{shared}/held", "w").close()
    while not os.path.exists(f"{shared}/waiting"):
        time.sleep(0.1)
    # Its first request is denied by then.
    time.sleep(3)
    os.write(fd, b"first")
    fcntl.lockf(fd, fcntl.LOCK_UN)
else:
    open(f"{shared}/waiting", "w").close()
    fcntl.lockf(fd, fcntl.LOCK_EX)
    assert os.read(fd, 5) == b"first", "granted while it was held"
END
step unmount umount /run/export
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
