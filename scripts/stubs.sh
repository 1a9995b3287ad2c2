#!/bin/sh
# Generates facerec/**/*_pb2*.py from protos/. `stubs.sh DIR` writes below DIR instead.
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
PATH="$PWD/.venv/bin:$PATH"
python -m grpc_tools.protoc -I protos \
    --python_out="$out" --grpc_python_out="$out" \
    --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out" \
    $(find protos -name '*.proto' | sort)
