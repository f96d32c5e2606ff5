# Writing the address that it has makes a transport disconnect (net/sunrpc/sysfs.c).
break_connection() {
    [ -d /sys/kernel/sunrpc ] || mount -t sysfs sysfs /sys
    for address in /sys/kernel/sunrpc/xprt-switches/*/xprt-*-tcp/dstaddr; do
        cat "$address" && echo "$SERVER" > "$address" || return 1
    done
}
