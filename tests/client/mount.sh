# Shell functions for the jobs: mounting, and running the steps of a job one by one.

# mount_share VERSION SHARE DIRECTORY
mount_share() {
    mkdir -p "$3" &&
    mount -t nfs4 -o "vers=$1,port=$PORT" "$SERVER:/$2" "$3" &&
    grep -q " $3 nfs4 .*vers=$1," /proc/mounts
}

# What the client's kernel has to say about the server is part of the result.
kernel_complaints() {
    dmesg | grep -iE 'nfs.*(error|fail|bad|not responding|timed out|broken|lost)|BUG:|WARNING:|Oops' && return 1
    return 0
}

uptime_centiseconds() {
    read -r uptime _ < /proc/uptime
    echo "$uptime" | tr -d .
}

# step NAME COMMAND...: one line of result; what the command printed only if it failed.
failures=0
step() {
    name=$1
    shift
    begin=$(uptime_centiseconds)
    if "$@" > $TMPDIR/step.out 2>&1; then result=ok; else result="FAILED ($?)"; fi
    spent=$(( $(uptime_centiseconds) - begin ))
    printf 'step %-14s %s %d.%02d s\n' "$name" "$result" $((spent / 100)) $((spent % 100))
    if [ "$result" != ok ]; then
        tail -c 6000 $TMPDIR/step.out
        failures=$((failures + 1))
    fi
}
