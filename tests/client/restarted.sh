# The server loses its power while it copies. Nobody is told that all is well unless it is.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"

sent() { awk -v op="$1:" '$1 == op { sum += $2 } END { print sum + 0 }' /proc/self/mountstats; }

begin() {
    cp /run/export/big /run/export/restarted &
    copy=$!
    until [ "$(sent COPY)" -gt 0 ]; do
        kill -0 $copy || return 1
        sleep 0.005
    done
}

# The harness checks what was copied, if it was.
ends() {
    status=0
    wait $copy || status=$?
    echo $status > $shared/copied
    echo "cp: $status, COPY was sent $(sent COPY) times"
}

step mount mount_share 4.2 export /run/export
[ "$failures" -eq 0 ] || exit 1
step begin begin
tell copying
await restarted
step ends ends
cat $TMPDIR/step.out
step unmount umount /run/export
[ "$failures" -eq 0 ]
