#!/bin/sh
# venv.sh VENV [PYTHON]: create the virtual environment VENV unless it is there, with PYTHON or the first
# Python >= 3.11 on the path that can.
set -eu
venv=$1
chosen=${2:-}

fits() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -x "$venv/bin/python" ] && fits "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
for python in ${chosen:-python3 python3.13 python3.12 python3.11}; do
    if fits "$python"; then
        echo "creating $venv with $("$python" --version)" >&2
        exec "$python" -m venv --clear "$venv"
    fi
done
echo "error: no Python 3.11 or newer with the venv module (tried: ${chosen:-python3 and python3.11 to 3.13});" \
    "install one (Debian, Ubuntu: apt install python3-venv) or name it: make PYTHON=/path/to/python" >&2
exit 1
