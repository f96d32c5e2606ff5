# A day's ordinary work on two shares: `export` is on a disk; `quick` is in memory and has the work that on a disk would
# mostly wait for it. Variables: VERSION, CLIENT (this directory), STEP_LIMIT (seconds), PJDFSTEST, FSX, SERVER_IS_ROOT
# (empty if not: then the server can give no file away and make no device).
. "$CLIENT/mount.sh"
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

step mount mount_share "$VERSION" export /run/export
step mount-quick mount_share "$VERSION" quick /run/quick
[ "$failures" -eq 0 ] || exit 1

# work_in SHARE: the steps that belong there, each with the mount as working directory.
work_in() {
    export MOUNT="/run/$1"
    cd "$MOUNT" || exit 1
    for work in "$CLIENT/day/$1"/*; do
        name=$(basename "$work")
        case $name in
            *.sh) step "$name" timeout "$STEP_LIMIT" sh -eu "$work" ;;
            *.py) step "$name" timeout "$STEP_LIMIT" python3 "$work" ;;
        esac
    done
    cd /
}
work_in export
work_in quick

step unmount umount /run/export /run/quick
step unmounted sh -c '! grep -q nfs4 /proc/mounts'
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
