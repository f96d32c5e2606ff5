# Machine 0 holds locks while the server loses its power; machine 1 wants them all the time, and gets them only once
# they were given up. Variable: VERSION.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"
export PYTHONDONTWRITEBYTECODE=1

[ "$MACHINE" -eq 0 ] || await held
step mount mount_share "$VERSION" export /run/export
[ "$failures" -eq 0 ] || exit 1
step locks timeout "$STEP_LIMIT" python3 "$CLIENT/recover.py" "$MACHINE" /run/export $shared
cat $TMPDIR/step.out
step unmount umount /run/export
[ "$failures" -eq 0 ]
