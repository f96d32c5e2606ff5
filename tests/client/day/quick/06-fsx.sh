# 20,000 random reads, writes, truncations and mappings of one file, each compared with what it must be.
mkdir $TMPDIR/fsx
"$FSX" -N 20000 -S 1 -P $TMPDIR/fsx fsx-file > $TMPDIR/fsx/out 2>&1 || { tail -40 $TMPDIR/fsx/out; exit 1; }
rm fsx-file
