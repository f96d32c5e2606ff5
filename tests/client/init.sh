# PID 1 of the user-mode Linux. The harness puts the variables in front of it:
# SCRATCH (host directory, writable), LINK (network commands), JOB (what to run), MACHINE (its number), SERVER, PORT.
# The root file system is the host's, read-only; what is written goes to the tmpfs on /run, SCRATCH or the mount.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home TMPDIR=/run/tmp LC_ALL=C
export SCRATCH SERVER PORT MACHINE

finish() {
    sync
    echo "client exit status $1"
    # The console is a pipe: give the harness its last line before the power goes.
    sleep 0.1
    echo o > /proc/sysrq-trigger
    sleep 10
}

prepare() {
    mount -t proc proc /proc &&
    mount -t sysfs sysfs /sys &&
    { grep -q ' /dev devtmpfs ' /proc/mounts || mount -t devtmpfs dev /dev; } &&
    mkdir -p /dev/shm &&
    mount -t tmpfs tmpfs /dev/shm &&
    mount -t tmpfs tmpfs /run &&
    mkdir -p /run/home /run/tmp /run/scratch /run/kernel/lib/modules &&
    mount -t hostfs hostfs /run/scratch -o "$SCRATCH" &&
    eval "$LINK" &&
    # Part of what it calls itself to a server: two machines must not be taken for one.
    hostname "client$MACHINE" &&
    ln -s "/usr/lib/uml/modules/$(uname -r)" "/run/kernel/lib/modules/$(uname -r)" &&
    modprobe -d /run/kernel nfsv4
}

if prepare; then
    /bin/sh "$JOB"
    finish $?
else
    echo "client: preparing the machine failed"
    finish 125
fi
