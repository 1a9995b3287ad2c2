#!/bin/sh
# Runs the tests with pytest's options, and prints the line coverage. Lines that ran in the services' own processes
# are not counted, and before Python 3.12 none of tests/e2e.
cd "$(dirname "$0")/.." || exit
python=.venv/bin/python
# Containers' images set it: every process that a test starts would compile all modules again.
unset PYTHONDONTWRITEBYTECODE
rm -rf .cache/coverage
mkdir -p .cache/coverage
# Databases are thousands of small files: in memory they are made and removed in a tenth of the time.
memory=/dev/shm
if [ -w $memory ] && [ "$(df -Pk $memory | awk 'NR == 2 { print $4 }')" -gt 4194304 ]; then
    folder=$(mktemp -d $memory/test-XXXX)
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    chmod 755 "$folder" # under root Postgres runs as another user, which must enter it
    printf '#!/bin/sh\n' > "$folder/program"
    chmod 755 "$folder/program"
    if "$folder/program" 2> /dev/null; then # Postgres' programs may be copied there
        export TMPDIR="$folder"
    fi
fi
# From 3.12 on, sys.monitoring records lines at little cost.
left_out=
if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    export COVERAGE_CORE=sysmon
else
    left_out=" without tests/e2e, which Python 3.12 counts"
fi
COVERAGE_PROCESS_START="$PWD/pyproject.toml" "$python" -m pytest -n "${TEST_WORKERS:-4}" --dist loadfile --no-loadscope-reorder "$@"
status=$?
"$python" -m coverage combine -q
echo "coverage: $("$python" -m coverage report --format=total --precision=1) % of lines$left_out"
exit $status
