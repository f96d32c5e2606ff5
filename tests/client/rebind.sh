# The connection of a mount of 4.1 breaks, and with it the way of callbacks; the client makes both anew.
. "$CLIENT/mount.sh"
. "$CLIENT/connection.sh"

# A request or two find out that callbacks have no way, and what comes then is the client's own affair.
go_on() {
    for i in 1 2 3 4 5; do
        date > "/run/export/file$i" && sync -f "/run/export/file$i" || return 1
        sleep 1
    done
}

# The third word is the number of times that it was sent.
bound_again_and_not_for_ever() {
    grep BIND_CONN_TO_SESSION /proc/self/mountstats
    awk '/BIND_CONN_TO_SESSION:/ { sent += $2 } END { exit !(sent >= 1 && sent <= 4) }' /proc/self/mountstats
}

step mount mount_share 4.1 export /run/export
[ "$failures" -eq 0 ] || exit 1
step before go_on
step break break_connection
step after go_on
step bound bound_again_and_not_for_ever
step unmount umount /run/export
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
