#!/bin/sh
# Generates the stubs of a client package from protos/: `client_stubs.sh typescript` (after `npm ci` in its folder) or
# `client_stubs.sh go` (with protoc-gen-go and protoc-gen-go-grpc on the PATH). `client_stubs.sh LANGUAGE DIR` writes into
# the folder DIR in place of the repository.
set -eu
cd "$(dirname "$0")/.."
language=$1
out=${2:-.}
PATH="$PWD/.venv/bin:$PATH"
all=$(mktemp -d)
trap 'rm -rf "$all"' EXIT
scripts/protos.sh "$all"
stubs=$out/clients/$language
case $language in
typescript)
    rm -rf "$stubs/src/gen"
    # Its package has no Google messages beyond the well-known ones; of these it reads the details of errors.
    google=$(python -c 'import pathlib, google.rpc.error_details_pb2 as e; print(pathlib.Path(e.__file__).parent)')
    mkdir "$all/google/rpc"
    cp "$google/error_details.proto" "$all/google/rpc/"
    buf generate "$all" --template clients/typescript/buf.gen.yaml -o "$out"
    for service in encoder matcher; do
        (cd protos && for file in facerec/$service/v1/*.proto; do
            echo "export * from \"./${file%.proto}_pb.js\";"
        done) > "$stubs/src/gen/$service.ts"
    done
    python -m scripts.retry_tables typescript > "$stubs/src/gen/retried.ts"
    ;;
go)
    buf generate "$all" --path "$all/facerec" --template clients/go/buf.gen.yaml -o "$out"
    python -m scripts.retry_tables go > "$stubs/facerec/retries.go"
    ;;
*)
    echo "usage: client_stubs.sh typescript|go [DIR]" >&2
    exit 2
    ;;
esac
