#!/bin/sh
# Runs the tests with pytest's options. It prints the line coverage from Python 3.12 on, and before where COVERAGE is
# set: there counting takes as long as the tests. Lines that ran in the services' own processes are not counted, and
# before Python 3.12 none of tests/e2e.
cd "$(dirname "$0")/.." || exit
python=.venv/bin/python
# Containers' images set it: every process that a test starts would compile all modules again.
unset PYTHONDONTWRITEBYTECODE
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
counted=${COVERAGE:-} left_out=" without tests/e2e, which Python 3.12 counts"
if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    counted=1 left_out=
    export COVERAGE_CORE=sysmon
fi
if [ "$counted" ]; then
    rm -rf .cache/coverage
    mkdir -p .cache/coverage
    export COVERAGE_PROCESS_START="$PWD/pyproject.toml"
fi
"$python" -m pytest -n "${TEST_WORKERS:-4}" --dist loadfile --no-loadscope-reorder "$@"
status=$?
unset COVERAGE_PROCESS_START
if [ "$counted" ]; then
    "$python" -m coverage combine -q
    echo "coverage: $("$python" -m coverage report --format=total --precision=1) % of lines$left_out"
fi
exit $status
