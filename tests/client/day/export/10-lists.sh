# Access control lists: set and told by the client's tools, enforced by the server, inherited.
mkdir lists
printf secret > lists/file
chmod 600 lists/file
nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

if nobody cat lists/file 2>/dev/null; then exit 1; fi
nfs4_setfacl -a A::65534:r lists/file
nfs4_getfacl lists/file
nfs4_getfacl lists/file | grep -q '^A::65534:r'
# The client goes on with the mode it knew.
sync
echo 3 > /proc/sys/vm/drop_caches
[ "$(stat -c %a lists/file)" = 640 ]
[ "$(nobody cat lists/file)" = secret ]
if nobody sh -c 'echo more >> lists/file' 2>/dev/null; then exit 1; fi

# A mode of none lets nobody in (RFC 8881 §6.1).
chmod 600 lists/file
if nobody cat lists/file 2>/dev/null; then exit 1; fi

# What can't be kept is refused: one kind of inheritance without the other, a name that is no number.
for refused in A:f:65534:r A::somebody@nowhere:r; do
    if nfs4_setfacl -a "$refused" lists 2>/dev/null; then exit 1; fi
done
nfs4_setfacl -a A:fdi:65534:rX lists
umask 077
printf inherited > lists/heir
mkdir lists/below
nfs4_getfacl lists/heir | grep -q '^A::65534:'
nfs4_getfacl lists/below | grep -q '^A:fdi:65534:r'
before=$(nfs4_getfacl lists/file)
echo "$before" | nfs4_setfacl -S - lists/file
[ "$(nfs4_getfacl lists/file)" = "$before" ]
rm -r lists
