#!/bin/sh
# Runs the tests with pytest's options, and prints the line coverage. Lines that ran in the services' own processes
# are not counted, and before Python 3.12 none of tests/e2e.
cd "$(dirname "$0")/.." || exit
python=.venv/bin/python
# Containers' images set it: every process that a test starts would compile all modules again.
unset PYTHONDONTWRITEBYTECODE
rm -rf .cache/coverage
mkdir -p .cache/coverage
# From 3.12 on, sys.monitoring records lines at little cost.
left_out=
if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))'; then
    export COVERAGE_CORE=sysmon
else
    left_out=" without tests/e2e, which Python 3.12 counts"
fi
COVERAGE_PROCESS_START="$PWD/pyproject.toml" "$python" -m pytest -n "${TEST_WORKERS:-3}" --dist loadfile --no-loadscope-reorder "$@"
status=$?
"$python" -m coverage combine -q
echo "coverage: $("$python" -m coverage report --format=total --precision=1) % of lines$left_out"
exit $status
