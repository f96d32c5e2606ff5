# Out of the mount and into it; the tree comes back the same.
(cd tree && tar -cf ../tree.tar d1[0-4])
mkdir unpacked
tar -xpf tree.tar -C unpacked
echo 3 > /proc/sys/vm/drop_caches
tar -df tree.tar -C unpacked
rm -rf unpacked tree.tar
[ ! -e unpacked ]
