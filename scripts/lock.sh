#!/bin/sh
# Pins every dependency with its hashes. The lock files name no index, so each machine uses its own.
set -eu
cd "$(dirname "$0")/.."
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install -q uv==0.13.9
compile() {
    "$tool/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@"
}
compile requirements/build.in -o requirements/build.lock
compile pyproject.toml --extra local -o requirements/runtime.lock
for service in encoder matcher; do
    compile pyproject.toml --extra "$service" --extra tracing -c requirements/runtime.lock -o "requirements/$service.lock"
done
compile pyproject.toml --extra local --extra plot --extra tracing --group test --group bench --group lint \
    -c requirements/runtime.lock -c requirements/build.lock -o requirements/dev.lock
compile pyproject.toml --extra gpu -c requirements/runtime.lock -o requirements/gpu.lock
compile requirements/deploy.in -o requirements/deploy.lock
compile requirements/compat.in -o requirements/compat.lock
compile requirements/dist.in -c requirements/build.lock -o requirements/dist.lock
