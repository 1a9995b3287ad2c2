#!/bin/sh
# Runs the tests of the SQL and of the matcher over another PostgreSQL with pgvector, whose programs are in the folder $1;
# further arguments are pytest's. One worker by default: a scrub waits for what others do on the server. Tests of standbys
# and of `facerec up` use the embedded one whatever is given.
set -eu
programs=$1
shift
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
chmod 755 "$folder"
user=
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
    user="setpriv --reuid=nobody --regid=nogroup --clear-groups"
    chown nobody "$folder"
fi
run() { (cd "$folder" && $user "$programs/$@"); }
trap 'run pg_ctl -s -D data -m immediate stop; rm -rf "$folder"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
run initdb -D data -U postgres --auth=trust --encoding=UTF8 --locale=C > "$folder/initdb.log"
run pg_ctl -s -w -D data -l log start -o "-p 5432 -c listen_addresses= -c unix_socket_directories=$folder \
    -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
[ $# -gt 0 ] || set -- tests/postgres tests/e2e/matcher
TEST_DATABASE_URL="postgresql://postgres@/postgres?host=$folder&port=5432&sslmode=disable" TEST_PROGRAMS="$programs" \
    .venv/bin/python -m pytest -n "${TEST_WORKERS:-1}" --dist loadfile "$@"
