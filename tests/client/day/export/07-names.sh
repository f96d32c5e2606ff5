# Renames, links and special files.
mkdir names
cd names

echo one > a
echo two > b
inode=$(stat -c %i a)
mv -f a b
[ ! -e a ]
[ "$(cat b)" = one ]
[ "$(stat -c %i b)" = "$inode" ]
mkdir from to
echo x > from/f
mv from/f to/g
[ "$(ls to)" = g ]
[ -z "$(ls from)" ]
mv -T from to && exit 1
rm to/g
mv -T from to
[ ! -e from ]

ln b hard
[ "$(stat -c %h b)" = 2 ]
[ "$(stat -c %i hard)" = "$inode" ]
echo three >> hard
[ "$(tail -1 b)" = three ]
rm b
[ "$(stat -c %h hard)" = 1 ]

ln -s hard soft
[ "$(readlink soft)" = hard ]
[ "$(head -1 soft)" = one ]
ln -s "/nowhere/$(head -c 900 /dev/zero | tr '\0' n)" long
[ "$(readlink long | wc -c)" -gt 900 ]
ln -sfn to soft
[ -d soft ]

mkfifo pipe
[ -p pipe ]
echo through > pipe &
[ "$(cat pipe)" = through ]
if [ -n "$SERVER_IS_ROOT" ]; then
    mknod null c 1 3
    [ "$(stat -c %F:%t:%T null)" = 'character special file:1:3' ]
fi

name=$(printf '%0255d' 7)
echo long > "$name"
[ "$(cat "$name")" = long ]
echo x > "${name}8" && exit 1
printf 'umlaut' > 'ä ö"ü
newline'
[ "$(cat ä*)" = umlaut ]
