# What the kernel client does with each server, in turn: fio and the copy of a tree. Prints lines "result SERVER WORK
# VALUE". Variables: CLIENT (the directory of the tests' jobs), ROUNDS ("ours 2049 ganesha 2050 ..."), VERSION, SECONDS
# (of each fio), FILES, FILE (its size in MiB).
. "$CLIENT/mount.sh"

# fio NAME FIELD ARGUMENTS...: a field of the terse output, version 3: 8 is reads per second, 49 writes per second.
run_fio() {
    work=$1 field=$2
    shift 2
    value=$(timeout 100 fio --name="$work" --directory="$MOUNT" --filename=data --thread --direct=1 --ioengine=libaio \
        --output-format=terse --terse-version=3 "$@" | tail -n 1 | cut -d';' -f"$field")
    [ -n "$value" ] && echo "result $LABEL $work $value"
}

# timed_copy NAME COMMAND...: files per second.
timed_copy() {
    work=$1
    shift
    begin=$(uptime_centiseconds)
    "$@" && sync || return 1
    spent=$(( $(uptime_centiseconds) - begin ))
    echo "result $LABEL $work $(( FILES * 100 / (spent > 0 ? spent : 1) ))"
}

# timed_file NAME COMMAND...: MiB per second of a copy within the share.
timed_file() {
    work=$1
    shift
    begin=$(uptime_centiseconds)
    "$@" && sync "$MOUNT/copy" || return 1
    spent=$(( $(uptime_centiseconds) - begin ))
    cmp -s -n 1000000 "$MOUNT/big" "$MOUNT/copy" || return 1
    echo "result $LABEL $work $(( FILE * 100 / (spent > 0 ? spent : 1) ))"
    rm "$MOUNT/copy"
}

# No page of it is a hole.
make_file() { yes | head -c "${FILE}M" > "$MOUNT/big" && sync "$MOUNT/big"; }

make_tree() {
    made=0
    while [ "$made" -lt "$FILES" ]; do
        directory=/run/tmp/tree/$(( made / 100 ))
        [ $(( made % 100 )) -ne 0 ] || mkdir -p "$directory"
        head -c 4096 /dev/zero > "$directory/$made"
        made=$(( made + 1 ))
    done
}

work() {
    run_fio random-read-4k 8 --rw=randread --bs=4k --size=64m --iodepth=16 --time_based --runtime="$SECONDS" &&
    run_fio random-write-4k 49 --rw=randwrite --bs=4k --size=64m --iodepth=16 --time_based --runtime="$SECONDS" &&
    run_fio sequential-read-1m 8 --rw=read --bs=1m --size=64m --iodepth=4 --time_based --runtime="$SECONDS" &&
    run_fio sequential-write-1m 49 --rw=write --bs=1m --size=64m --iodepth=4 --time_based --runtime="$SECONDS" &&
    timed_copy copy-tree cp -r /run/tmp/tree "$MOUNT/tree" &&
    timed_copy remove-tree rm -r "$MOUNT/tree" &&
    make_file &&
    timed_file copy-file-by-cp cp "$MOUNT/big" "$MOUNT/copy" &&
    timed_file copy-file-by-client dd if="$MOUNT/big" of="$MOUNT/copy" bs=1M status=none &&
    rm "$MOUNT/big"
}

make_tree || exit 1
# Pairs of label and port.
set -- $ROUNDS
while [ $# -gt 1 ]; do
    LABEL=$1 PORT=$2 MOUNT=/run/$1
    shift 2
    mount_share "$VERSION" export "$MOUNT" || exit 1
    work || exit 1
    umount "$MOUNT" || exit 1
done
