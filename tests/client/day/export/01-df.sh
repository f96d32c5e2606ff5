# The server's numbers reach `df`, for space and for files.
df -P -k . | tail -1 > $TMPDIR/df
read -r source blocks _used available _ where < $TMPDIR/df
[ "$source" = "$SERVER:/export" ]
[ "$where" = "$MOUNT" ]
[ "$blocks" -gt 1048576 ]
[ "$available" -gt 1048576 ]
[ "$available" -le "$blocks" ]
df -P -i . | tail -1 > $TMPDIR/df
read -r _ inodes _ free _ < $TMPDIR/df
[ "$inodes" -gt 10000 ]
[ "$free" -gt 10000 ]
