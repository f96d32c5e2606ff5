# One of two machines that fight over a file for SECONDS_EACH, in VERSION. Files in the shared directory tell each side of
# ROUND how far the other is.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"
export PYTHONDONTWRITEBYTECODE=1

step "mount-$VERSION" mount_share "$VERSION" export /run/arena
[ "$failures" -eq 0 ] || exit 1
tell "ready-$ROUND-$MACHINE"
await "fight-$ROUND"
step fight timeout $((SECONDS_EACH + STEP_LIMIT)) \
    python3 "$CLIENT/fight.py" work /run/arena/arena $((MACHINE + 1)) "$SECONDS_EACH" "$shared/ledger$MACHINE"
cat $TMPDIR/step.out
step unmount umount /run/arena
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
