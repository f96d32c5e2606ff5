# A 4.0 and a 4.1 mount of one share, held by one machine, work at once for a minute.
. "$CLIENT/mount.sh"
export PYTHONDONTWRITEBYTECODE=1

step mount-4.0 mount_share 4.0 export /run/v40
step mount-4.1 mount_share 4.1 export /run/v41
[ "$failures" -eq 0 ] || exit 1
step minute timeout "$STEP_LIMIT" python3 "$CLIENT/busy.py" 60 /run/scratch/busy.sha256 /run/v40 /run/v41
step unmount umount /run/v40 /run/v41
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
