# A repository lives on the mount and is cloned on it.
export GIT_CONFIG_GLOBAL=/run/home/gitconfig GIT_CONFIG_SYSTEM=/dev/null
cat > "$GIT_CONFIG_GLOBAL" <<CONFIG
[user]
    name = A User
    email = user@example.org
[init]
    defaultBranch = main
[safe]
    directory = *
CONFIG
mkdir repository
cd repository
git init -q .
cp -a /run/scratch/tree/d00 ../part
cp -r ../part d00
git add .
git commit -q -m 'Add the files'
git ls-files | head -20 | while IFS= read -r file; do echo more >> "$file"; done
git commit -q -a -m 'Change some'
git mv d00 moved
git commit -q -m 'Move a directory'
[ -z "$(git status --porcelain)" ]
git gc -q
git fsck --full --strict
cd ..
git clone -q --no-local repository clone
[ "$(git -C clone rev-parse HEAD)" = "$(git -C repository rev-parse HEAD)" ]
[ -z "$(git -C clone status --porcelain)" ]
git -C clone fsck --full --strict
rm -rf clone
