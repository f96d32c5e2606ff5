# A 4.0 and a 4.1 mount of the same share, held at once by one machine, contend for the same locks.
. "$CLIENT/mount.sh"
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

step mount-4.0 mount_export 4.0 /mnt/v40
step mount-4.1 mount_export 4.1 /mnt/v41
[ "$failures" -eq 0 ] || exit 1
step locks-40-41 timeout 60 python3 "$CLIENT/contend.py" /mnt/v40/locked /mnt/v41/locked
step locks-41-40 timeout 60 python3 "$CLIENT/contend.py" /mnt/v41/locked /mnt/v40/locked
step unmount umount /mnt/v40 /mnt/v41
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
