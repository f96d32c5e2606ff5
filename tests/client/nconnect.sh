# One mount of 4.1 that spreads its requests over four connections of one session.
. "$CLIENT/mount.sh"

mount_with_four() {
    mkdir -p /run/four &&
    mount -t nfs4 -o "vers=4.1,port=$PORT,nconnect=4" "$SERVER:/export" /run/four
}

# Eight writers at once, and what each wrote, read past the client's cache.
work() {
    cd /run/four || return 1
    for i in 1 2 3 4 5 6 7 8; do
        ( head -c 8000000 /dev/urandom > "file$i" && sync -f "file$i" && sha256sum "file$i" > "sum$i" ) &
        writers="$writers $!"
    done
    for writer in $writers; do wait "$writer" || return 1; done
    echo 3 > /proc/sys/vm/drop_caches
    cat sum? > all && sha256sum -c --quiet all
    cd /
}

# Of each connection, the count of requests sent over it is the eighth word (fs/nfs/super.c, xprt statistics of tcp).
all_four_carried_requests() {
    grep 'xprt:.*tcp' /proc/self/mountstats
    [ "$(awk '/xprt:.*tcp/ && $8 > 10 { count++ } END { print count + 0 }' /proc/self/mountstats)" -eq 4 ]
}

step mount mount_with_four
[ "$failures" -eq 0 ] || exit 1
step work work
step connections all_four_carried_requests
step unmount umount /run/four
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
