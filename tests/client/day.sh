# A day's ordinary work on one mount. Variables: VERSION, CLIENT (this directory), STEP_LIMIT (seconds), PJDFSTEST,
# FSX, SERVER_IS_ROOT (empty if not: then nobody's files are given away, and no devices made).
. "$CLIENT/mount.sh"
export MOUNT=/run/export
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

step mount mount_export "$VERSION" "$MOUNT"
[ "$failures" -eq 0 ] || exit 1
cd "$MOUNT" || exit 1

for work in "$CLIENT"/day/*; do
    name=$(basename "$work")
    case $name in
        *.sh) step "$name" timeout "$STEP_LIMIT" sh -eu "$work" ;;
        *.py) step "$name" timeout "$STEP_LIMIT" python3 "$work" ;;
    esac
done

cd /
step unmount umount "$MOUNT"
step unmounted sh -c '! grep -q nfs4 /proc/mounts'
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
