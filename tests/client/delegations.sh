# Machine 0 is given delegations, which its own statistics show; machine 1 takes them away by what it does.
# Variable: VERSION.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"
mounted=/run/export

# How often an operation was sent for this mount (the first number of its line).
sent() {
    awk -v op="$1:" '$1 == op { print $2 }' /proc/self/mountstats
}

# Opens again and again, of which the server hears nothing: that is what a delegation is for. It may need a moment to find
# out that it can call the client, and grants none before.
opens_without_the_server() {
    for try in 1 2 3 4 5 6 7 8 9 10; do
        "$@" || return 1
        before=$(sent OPEN)
        for i in 1 2 3 4 5 6 7 8 9 10; do "$@" || return 1; done
        after=$(sent OPEN)
        echo "OPEN was sent $before times, then $after"
        [ "$after" -eq "$before" ] && return 0
        sleep 0.5
    done
    return 1
}

was_returned() {
    returned=$(sent DELEGRETURN)
    echo "DELEGRETURN was sent $returned times, before $1"
    [ "$returned" -gt "$1" ]
}

appends() {
    echo line >> $mounted/written
}

machine_0() {
    step prepare sh -c "echo one > $mounted/read && sync -f $mounted/read"
    step read-delegation opens_without_the_server grep -q one $mounted/read
    before=$(sent DELEGRETURN)
    tell reading
    await wrote
    step read-recalled was_returned "$before"
    step new-content timeout $STEP_LIMIT grep -q two $mounted/read

    step write-delegation opens_without_the_server appends
    before=$(sent DELEGRETURN)
    stat -c %s $mounted/written > $shared/size
    tell appended
    await looked
    step write-recalled was_returned "$before"
}

machine_1() {
    await reading
    step reads-it-too timeout $STEP_LIMIT grep -q one $mounted/read
    step write timeout $STEP_LIMIT sh -c "echo two > $mounted/read"
    step sync sync -f $mounted/read
    tell wrote
    await appended
    # The size that its holder knows, which may be in its memory only.
    step asked-for-size timeout $STEP_LIMIT sh -c "[ \$(stat -c %s $mounted/written) -eq \$(cat $shared/size) ]"
    step read-appended timeout $STEP_LIMIT sh -c "[ \$(wc -c < $mounted/written) -eq \$(cat $shared/size) ]"
    tell looked
}

step mount mount_share "$VERSION" export $mounted
[ "$failures" -eq 0 ] || exit 1
"machine_$MACHINE"
step unmount umount $mounted
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
