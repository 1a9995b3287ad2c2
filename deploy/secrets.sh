#!/bin/sh
# Makes the secrets of compose.yaml in deploy/secrets, unless they are there: passwords, the URLs that hold them, and the
# secret that seals the console's sessions. Only you can open the folder; its files are readable by all, as the containers'
# users read those that are mounted.
set -eu
folder=$(dirname "$0")/secrets
if [ -e "$folder" ]; then # the database was made with its passwords
    [ -e "$folder/session-secret" ] && exit
    openssl rand -hex 32 > "$folder/session-secret" # the folder is of 0.1.0
    exec chmod 644 "$folder/session-secret"
fi
made=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$made"' EXIT
for name in superuser migrate serve; do
    openssl rand -hex 24 > "$made/$name-password"
done
openssl rand -hex 32 > "$made/session-secret"
printf 'postgresql://facerec_migrate:%s@postgres:5432/facerec\n' "$(cat "$made/migrate-password")" > "$made/migrate-url"
printf 'postgresql://facerec_matcher:%s@postgres:5432/facerec\n' "$(cat "$made/serve-password")" > "$made/serve-url"
chmod 644 "$made"/*
mv "$made" "$folder"
