# POSIX semantics. The silly rename of the client keeps a name for an unlinked open file, hence the one exception.
# It plays several users, which a server that is not root can't serve.
[ -n "$SERVER_IS_ROOT" ] || exit 0
cat > $TMPDIR/pjdfstest.toml <<CONFIG
[features]
posix_fallocate = {}
[settings]
naptime = 0.02
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
CONFIG
mkdir -m 755 pjdfstest
status=0
"$PJDFSTEST" -c $TMPDIR/pjdfstest.toml -p "$MOUNT/pjdfstest" > $TMPDIR/pjdfstest.out 2>&1 || status=$?
grep '^Summary' $TMPDIR/pjdfstest.out
grep -A4 ' FAILED$' $TMPDIR/pjdfstest.out || true
passed=$(sed -n 's/^Summary.* \([0-9]*\) passed.*/\1/p' $TMPDIR/pjdfstest.out)
[ "$passed" -gt 300 ]
if grep ' FAILED$' $TMPDIR/pjdfstest.out | grep -v '^unlink::open_file_not_freed '; then exit 1; fi
[ "$status" -eq 0 ] || grep -q '^unlink::open_file_not_freed .*FAILED$' $TMPDIR/pjdfstest.out
rm -rf pjdfstest
