# The tree that the harness made; it compares the copy on the server's side afterwards.
cp -a /run/scratch/tree tree
[ "$(find tree -type f | wc -l)" -ge 5000 ]
[ "$(find tree -type d | wc -l)" -ge 300 ]
