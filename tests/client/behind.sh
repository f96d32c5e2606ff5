# Files of which the client has delegations, changed on the server behind its back.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"

# One file read and one written: delegations of either kind, which the client goes by once all is closed.
use() {
    echo before > /run/mnt/written && sync /run/mnt/written && [ "$(cat /run/mnt/written)" = before ] &&
    [ "$(cat /run/mnt/read)" = before ] && [ "$(cat /run/mnt/read)" = before ]
}

# Without a recall the client would go by what it has for as long as it likes.
sees() {
    left=300
    until [ "$(cat /run/mnt/read)" = after ] && [ "$(cat /run/mnt/written)" = after ]; do
        left=$(( left - 1 ))
        [ "$left" -gt 0 ] || { head /run/mnt/read /run/mnt/written; return 1; }
        sleep 0.1
    done
}

step mount mount_share 4.1 export /run/mnt
[ "$failures" -eq 0 ] || exit 1
step use use
tell used
await changed
step sees sees
step unmount umount /run/mnt
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
