#!/bin/sh
# Generates facerec/**/*_pb2*.py and the gateway's OpenAPI document from protos/. `stubs.sh DIR` writes below DIR instead.
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
PATH="$PWD/.venv/bin:$PATH"
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
scripts/protos.sh "$all"
python -m grpc_tools.protoc -I "$all" \
    --python_out="$out" --grpc_python_out="$out" \
    --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out" \
    $(cd protos && find facerec -name '*.proto' | sort)
mkdir -p "$out/facerec/gateway/short_paths"
python -m scripts.openapi > "$out/facerec/gateway/short_paths/openapi.json.new"
mv "$out/facerec/gateway/short_paths/openapi.json.new" "$out/facerec/gateway/short_paths/openapi.json"
