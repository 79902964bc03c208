#!/bin/sh
# Makes .venv with the Python packages of the end-to-end tests, when it is missing or out of date, and
# prints the path of its python.
set -eu
cd "$(dirname "$0")/.."
wanted=$(cksum tests/e2e/requirements.txt)
if [ ! -f .venv/made-from ] || [ "$(cat .venv/made-from)" != "$wanted" ]; then
    rm -rf .venv
    /usr/bin/python3 -m venv --system-site-packages .venv >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/e2e/requirements.txt >&2
    echo "$wanted" >.venv/made-from
fi
echo "$PWD/.venv/bin/python"
