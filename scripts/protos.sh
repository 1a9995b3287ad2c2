#!/bin/sh
# Writes to the folder DIR the contract with all that it imports, for generators and linters that do not have
# Google's protos: `protos.sh DIR`. `protos.sh DIR FROM` takes the contract from the folder FROM.
set -eu
cd "$(dirname "$0")/.."
out=$1
from=${2:-protos}
PATH="$PWD/.venv/bin:$PATH"
# Of the package googleapis-common-protos.
google=$(python -c 'import pathlib, google.api.field_behavior_pb2 as f; print(pathlib.Path(f.__file__).parent)')
mkdir -p "$out/google/api"
cp -R "$from/." "$out"
for name in annotations field_behavior http; do
    cp "$google/$name.proto" "$out/google/api/"
done
