# Mounts SHARES, each at /run/SHARE, and does the steps of the directory WORK there. Variables: VERSION, CLIENT (this
# directory), STEP_LIMIT (seconds), and what the steps ask for.
. "$CLIENT/mount.sh"
export MOUNT="/run/${SHARES%% *}" # the first of them
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

for share in $SHARES; do
    step "mount-$share" mount_share "$VERSION" "$share" "/run/$share"
done
[ "$failures" -eq 0 ] || exit 1
for work in "$CLIENT/$WORK"/*; do
    name=$(basename "$work")
    case $name in
        *.sh) step "$name" timeout "$STEP_LIMIT" sh -eu "$work" ;;
        *.py) step "$name" timeout "$STEP_LIMIT" python3 "$work" ;;
    esac
    cat "$TMPDIR/step.out"
done
for share in $SHARES; do
    step "unmount-$share" umount "/run/$share"
done
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
