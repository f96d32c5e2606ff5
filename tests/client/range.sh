# A 4.1 mount is held while the server's operator narrows the range of versions to 4.0 and widens it again.
# Files in the shared directory tell either side how far the other is.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"

hold() {
    echo before > /run/v41/file && sync
}

is_refused() {
    ! timeout 10 touch /run/v41/refused
}

# The client may answer what it had under way with an error first.
recovers() {
    until cat /run/v41/file > /dev/null 2>&1; do sleep 0.5; done
    [ "$(cat /run/v41/file)" = before ] &&
    echo after > /run/v41/file && sync && [ "$(cat /run/v41/file)" = after ]
}

step mount-4.1 mount_share 4.1 export /run/v41
[ "$failures" -eq 0 ] || exit 1
step hold hold
tell held
await narrowed
step refused is_refused
tell felt
await widened
step recover recovers
step unmount umount /run/v41
[ "$failures" -eq 0 ]
