#!/bin/sh
# A released contract stays compatible: fails on a breaking change against the newest, which `make release` keeps in the
# tree, as a clone may have no tags. `breaking.sh DIR` compares the contract that scripts/protos.sh wrote to DIR.
set -eu
contract=$(realpath "$1")
cd "$(dirname "$0")/.."
for released in protos/released/*.binpb; do
    if [ -e "$released" ]; then
        buf breaking "$contract" --against "$released"
    else
        echo "buf breaking: skipped, nothing is released yet"
    fi
done
