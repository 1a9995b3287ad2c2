#!/bin/sh
# Runs the tests, given options of pytest's, and tells how many of the packages' lines they ran themselves:
# those that ran in the services' own processes are not counted.
cd "$(dirname "$0")/.." || exit
python=.venv/bin/python
rm -rf .cache/coverage
mkdir -p .cache/coverage
# From 3.12 on the interpreter itself can tell lines, for next to nothing.
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' && export COVERAGE_CORE=sysmon
COVERAGE_PROCESS_START="$PWD/pyproject.toml" "$python" -m pytest -n "${TEST_WORKERS:-3}" --dist loadfile --no-loadscope-reorder "$@"
status=$?
"$python" -m coverage combine -q
echo "coverage: $("$python" -m coverage report --format=total --precision=1) % of lines"
exit $status
