#!/bin/sh
# All checks that do not run the services. A failing tool's output names it.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"

ruff check .
ruff format --check .
mypy
lint-imports
python scripts/words.py
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
scripts/protos.sh "$fresh/protos"
buf lint "$fresh/protos"
scripts/breaking.sh "$fresh/protos"

mkdir "$fresh/stubs"
scripts/stubs.sh "$fresh/stubs"
(cd "$fresh/stubs" && find . -type f) | while read -r stub; do
    cmp "$fresh/stubs/$stub" "$stub" || { echo "$stub differs from what protos/ generates: run make stubs" >&2; exit 1; }
done
scripts/alert_rules.sh | cmp -s - deploy/kubernetes/overlays/own-postgres/alerts.yaml || {
    echo "the overlays' alerts differ from deploy/monitoring/rules.yaml: run make alert-rules" >&2
    exit 1
}
python scripts/settings_docs.py | cmp -s - docs/settings.md || {
    echo "docs/settings.md differs from the settings: run make settings-docs" >&2
    exit 1
}
echo "lint: all checks passed"
