#!/bin/sh
# Makes .venv with the Python packages of the end-to-end tests, .venv/notebook with those of the notebooks in them and
# .venv/openapi with those that try the OpenAPI description, when they are missing or out of date, and prints the path
# of the tests' python.
set -eu
cd "$(dirname "$0")/.."
wanted=$(cat scripts/venv.sh tests/e2e/requirements*.txt | cksum)
if [ ! -f .venv/made-from ] || [ "$(cat .venv/made-from)" != "$wanted" ]; then
    rm -rf .venv
    /usr/bin/python3 -m venv --system-site-packages .venv >&2
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        -r tests/e2e/requirements.txt >&2
    for more in notebook openapi; do
        /usr/bin/python3 -m venv .venv/$more >&2
        .venv/$more/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps \
            -r tests/e2e/requirements-$more.txt >&2
    done
    echo "$wanted" >.venv/made-from
fi
echo "$PWD/.venv/bin/python"
