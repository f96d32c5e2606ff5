# A new object inherits the default list of its directory, whatever the umask: 4.2 tells the server both (mode_umask),
# where 4.1 has the client take the umask away first. The harness made `heirs` with a list, and `plain` without.
. "$CLIENT/mount.sh"

makes() {
    umask 077
    cd "/run/$1" || return 1
    echo x > "heirs/file-$1" && mkdir "heirs/dir-$1" && echo x > "plain/file-$1" && mkdir "plain/dir-$1" &&
    mkfifo "heirs/pipe-$1" "plain/pipe-$1" || return 1
    umask 022
    echo x > "plain/file022-$1" && cd /
}

for version in 4.1 4.2; do
    mkdir -p /run/$version
    step mount-$version mount -t nfs4 -o "vers=$version,port=$PORT,nosharecache" "$SERVER:/export" /run/$version
    step makes-$version makes $version
    step unmount umount /run/$version
done
step kernel-log kernel_complaints
[ "$failures" -eq 0 ]
