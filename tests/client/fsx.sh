# Four files at once, each with 50,000 operations of all kinds, compared with what each must be; and pairs of files
# that are copied, cloned, punched and allocated from and to each other. Variables: FSX, SHARES, CLONING (those that can).
. "$CLIENT/mount.sh"
export PYTHONPATH="$CLIENT" PYTHONDONTWRITEBYTECODE=1

exercise() {
    cd /run/quick || return 1
    for seed in 1 2 3 4; do
        mkdir $TMPDIR/fsx$seed
        "$FSX" -N 50000 -S $seed -f "$CLIENT/fsx.toml" -P $TMPDIR/fsx$seed fsx-$seed > $TMPDIR/fsx$seed/out 2>&1 &
        seeds="$seeds $seed:$!"
    done
    for seed in $seeds; do
        wait ${seed#*:} || { tail -40 $TMPDIR/fsx${seed%:*}/out; cd /; return 1; }
    done
    cd /
}

for share in $SHARES; do
    step "mount-$share" mount_share 4.2 "$share" "/run/$share"
done
[ "$failures" -eq 0 ] || exit 1
step fsx exercise
for share in $SHARES; do
    step "pairs-$share" timeout "$STEP_LIMIT" python3 "$CLIENT/pairs.py" "/run/$share" 3000 1
    cat $TMPDIR/step.out
done
for share in $SHARES; do
    step "unmount-$share" umount "/run/$share"
done
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
