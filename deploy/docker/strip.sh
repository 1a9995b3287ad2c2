#!/bin/sh
# Usage: strip.sh FOLDER. Removes from the Python in FOLDER what no service runs: installers, tests, other packages'
# commands. Compiles the rest, as a container can write no compiled modules, in the form that names no time: two builds
# give the same bytes.
set -eu
python=$1/bin/python
"$python" -m pip --disable-pip-version-check uninstall -q -y --root-user-action ignore pip setuptools wheel
lib=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -rf "$lib/../ensurepip"
find "$lib" -depth -type d \( -name test -o -name tests \) -exec rm -rf {} +
find "$1/bin" ! -type d ! -name 'python*' ! -name facerec ! -name '*_service' -delete
find "$1/lib" -name '*.pyc' -delete
"$python" -m compileall -q --invalidation-mode unchecked-hash "$1/lib"
