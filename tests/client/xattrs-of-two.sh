# What one machine does to the extended attributes of a file, the other sees, delegations or not. Variable: SHARE.
. "$CLIENT/mount.sh"
. "$CLIENT/signals.sh"
file=/run/$SHARE/seen

is() { [ "$(getfattr -n user.seen --only-values $file 2>/dev/null)" = "$1" ]; }
has_not() { ! getfattr -n user.seen $file > $TMPDIR/got 2>&1 && grep -q 'No such attribute' $TMPDIR/got; }
has() { [ "$(getfattr -d $file 2>/dev/null | grep -c ^user)" = "$1" ]; }
# Without a delegation it may trust what it knows for as long as it trusts attributes.
eventually() {
    left=300
    until "$@"; do
        left=$(( left - 1 ))
        [ "$left" -gt 0 ] || { getfattr -d $file; return 1; }
        sleep 0.1
    done
}

machine_0() {
    # Opened and closed a few times, which is what delegations are given for.
    step create sh -c "for i in 1 2 3 4 5; do echo x >> $file; cat $file > /dev/null; sleep 0.2; done"
    step nothing has_not
    tell created
    await set
    step seen eventually is one
    step change setfattr -n user.seen -v two $file
    tell changed
    await more
    step listed eventually has 2
    step remove setfattr -x user.seen $file
    tell removed
    await done
}

machine_1() {
    await created
    step not-there has_not
    step set setfattr -n user.seen -v one $file
    step set-one is one
    tell set
    await changed
    step seen eventually is two
    step more setfattr -n user.more -v x $file
    tell more
    await removed
    step gone eventually has_not
    step listed eventually has 1
    tell done
}

step mount mount -t nfs4 -o "vers=4.2,port=$PORT,actimeo=1" -m "$SERVER:/$SHARE" "/run/$SHARE"
[ "$failures" -eq 0 ] || exit 1
"machine_$MACHINE"
step unmount umount "/run/$SHARE"
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
