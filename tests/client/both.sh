# A 4.0 and a 4.1 mount of the same share, held at once by one machine, contend for the same locks.
. "$CLIENT/mount.sh"
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

step mount-4.0 mount_share 4.0 export /run/v40
step mount-4.1 mount_share 4.1 export /run/v41
[ "$failures" -eq 0 ] || exit 1
step locks-40-41 timeout "$STEP_LIMIT" python3 "$CLIENT/contend.py" /run/v40/locked /run/v41/locked
step locks-41-40 timeout "$STEP_LIMIT" python3 "$CLIENT/contend.py" /run/v41/locked /run/v40/locked
step unmount umount /run/v40 /run/v41
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
