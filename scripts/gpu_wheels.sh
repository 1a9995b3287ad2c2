#!/bin/sh
# Downloads the wheels that scripts/gpu_check takes to a machine which has CUDA and cuDNN but no network, and cuts the
# large ones into parts: gpu_wheels.sh FOLDER [PYTHON_VERSION]. dlib's weights are left out; give them as --weights.
set -eu
folder=$(realpath -m "$1")
version=${2:-3.12}
cd "$(dirname "$0")/.."
lock=$(mktemp)
trap 'rm -f "$lock"' EXIT
awk '/^[a-z]/ { kept = !/^(nvidia-|face)/ } kept' requirements/gpu.lock > "$lock"
platforms=
for tag in 1 2010 2014 _2_17 _2_24 _2_27 _2_28 _2_31 _2_34; do
    platforms="$platforms --platform manylinux${tag}_x86_64"
done
# shellcheck disable=SC2086 # a word each
"${PYTHON:-python3}" -m pip --disable-pip-version-check download -q --no-deps --require-hashes --only-binary=:all: \
    --implementation cp --python-version "$version" $platforms -d "$folder" -r "$lock"
find "$folder" -name '*.whl' -size +60M | while read -r wheel; do
    split -b 60M -d -a 2 "$wheel" "$wheel.part-"
    rm "$wheel"
done
echo "$(du -cm "$folder"/*.whl* | tail -n 1 | cut -f 1) MiB in $folder"
