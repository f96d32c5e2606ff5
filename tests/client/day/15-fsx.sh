# 20,000 random reads, writes, truncations and mappings of one file, each compared with what it must be.
mkdir /tmp/fsx
"$FSX" -N 20000 -S 1 -P /tmp/fsx fsx-file > /tmp/fsx/out 2>&1 || { tail -40 /tmp/fsx/out; exit 1; }
rm fsx-file
