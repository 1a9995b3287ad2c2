#!/bin/sh
# Usage: go_on_debian.sh FOLDER. Unpacks Go, grpc-go and the generators of Debian 13 into a folder, from this machine's
# mirror and without installing anything, and prints what `make test-languages` needs to use them. For machines that reach
# Debian's packages and no module proxy.
set -eu
folder=$1
mkdir -p "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial" "$folder/packages"
folder=$(cd "$folder" && pwd)
keys=$(echo /usr/share/keyrings/debian-archive-k*.gpg)
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | head -n 1)
echo "deb [signed-by=$keys] ${mirror:?no mirror of Debian is set up here} trixie main" > "$folder/apt/sources.list"
apt() {
    apt-get -q -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" "$@"
}
apt update > /dev/null
cd "$folder/packages"
apt download golang-1.24-go golang-1.24-src protoc-gen-go protoc-gen-go-grpc golang-google-grpc-dev \
    golang-google-protobuf-dev golang-google-genproto-dev golang-github-golang-protobuf-1-5-dev \
    golang-golang-x-net-dev golang-golang-x-sys-dev golang-golang-x-text-dev > /dev/null 2>&1
for package in *.deb; do
    dpkg-deb -x "$package" "$folder"
done
echo "PATH=$folder/usr/lib/go-1.24/bin:$folder/usr/bin:\$PATH make test-languages GO_PACKAGES=$folder/usr/share/gocode"
