#!/bin/sh
# Makes the secrets of compose.yaml in deploy/secrets, once: passwords, and the URLs that hold them. Only you can
# open the folder; its files are readable by all, as the containers' users read those that are mounted.
set -eu
folder=$(dirname "$0")/secrets
if [ -e "$folder" ]; then
    echo "$folder exists: the database was made with its passwords" >&2
    exit 1
fi
mkdir -m 700 "$folder"
for name in superuser migrate serve; do
    openssl rand -hex 24 > "$folder/$name-password"
done
printf 'postgresql://facerec_migrate:%s@postgres:5432/facerec\n' "$(cat "$folder/migrate-password")" > "$folder/migrate-url"
printf 'postgresql://facerec_matcher:%s@postgres:5432/facerec\n' "$(cat "$folder/serve-password")" > "$folder/serve-url"
chmod 644 "$folder"/*
