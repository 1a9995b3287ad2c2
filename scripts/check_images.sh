#!/bin/sh
# Builds the images twice, runs them by deploy/compose.yaml and checks both: tests/images. Without a Docker engine it says
# so and checks nothing. What it takes from the environment: docs in deploy/README.md.
set -eu
cd "$(dirname "$0")/.."
if ! why=$(docker info 2>&1 && docker compose version 2>&1); then
    echo "check-images: SKIPPED, no Docker engine with compose answers here: $(echo "$why" | tail -n 1)"
    exit
fi
CHECK_IMAGES=1 exec .venv/bin/python -m pytest -q -n 0 -s -o timeout=3600 tests/images "$@"
