# setfattr and getfattr. The harness looks at the same attributes on the server, and has set one there.
mkdir -p "$MOUNT/tools"
cd "$MOUNT/tools"
echo content > file
setfattr -n user.note -v 'a note' file
setfattr -n user.empty file
setfattr -n user.binary -v 0x00ff0a3d file
setfattr -n 'user.name with spaces, ä and =' -v x file
setfattr -n user.note -v 'another note' .
[ "$(getfattr -n user.note --only-values file)" = 'a note' ]
[ "$(getfattr -n user.binary --only-values file | wc -c)" = 4 ]
getfattr -d file > $TMPDIR/listed
cat $TMPDIR/listed
grep -qx 'user.note="a note"' $TMPDIR/listed
grep -qx 'user.empty=""' $TMPDIR/listed
grep -q '^user.name with spaces, .* and .*="x"' $TMPDIR/listed
[ "$(grep -c '^user' $TMPDIR/listed)" = 4 ]
getfattr -d . | grep -qx 'user.note="another note"'

setfattr -n user.note -v 'changed' file
[ "$(getfattr -n user.note --only-values file)" = changed ]
setfattr -x user.note file
if getfattr -n user.note file; then exit 1; fi
if setfattr -x user.note file; then exit 1; fi
[ "$(getfattr -d file | grep -c '^user')" = 3 ]
setfattr -n user.note -v 'a note' file

# They go along with the file.
cp --preserve=xattr file copy
[ "$(getfattr -n user.note --only-values copy)" = 'a note' ]
mv copy moved
[ "$(getfattr -d moved | grep -c '^user')" = 4 ]
rm moved

# Only the namespace of users.
if setfattr -n trusted.note -v x file; then exit 1; fi
ln -s file link
if setfattr -h -n user.note -v x link; then exit 1; fi

[ "$(getfattr -n user.server --only-values "$MOUNT/from-server")" = 'set there' ]
cat file
