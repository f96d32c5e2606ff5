# Mounts of 4.0, 4.1 and 4.2 of one share, held by one machine, work at once for a minute.
. "$CLIENT/mount.sh"
export PYTHONDONTWRITEBYTECODE=1

step mount-4.0 mount_share 4.0 export /run/v40
step mount-4.1 mount_share 4.1 export /run/v41
# Who asks for no version gets the highest.
mount_newest() {
    mkdir -p /run/v42 &&
    mount -t nfs4 -o "port=$PORT" "$SERVER:/export" /run/v42 &&
    grep -q " /run/v42 nfs4 .*vers=4.2," /proc/mounts
}
step mount-newest mount_newest
[ "$failures" -eq 0 ] || exit 1
step minute timeout "$STEP_LIMIT" python3 "$CLIENT/busy.py" 60 /run/scratch/busy.sha256 /run/v40 /run/v41 /run/v42
step unmount umount /run/v40 /run/v41 /run/v42
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
