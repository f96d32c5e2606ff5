# A day's ordinary work on one mount. Variables: VERSION, CLIENT (this directory), PJDFSTEST, FSX.
. "$CLIENT/mount.sh"
export MOUNT=/mnt/export
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

step mount mount_export "$VERSION" "$MOUNT"
[ "$failures" -eq 0 ] || exit 1
cd "$MOUNT" || exit 1

for work in "$CLIENT"/day/*; do
    name=$(basename "$work")
    case $name in
        *.sh) step "$name" timeout 100 sh -eu "$work" ;;
        *.py) step "$name" timeout 100 python3 "$work" ;;
    esac
done

cd /
step unmount umount "$MOUNT"
step unmounted sh -c '! grep -q nfs4 /proc/mounts'
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
