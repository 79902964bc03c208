#!/bin/sh
# All measurements of docs/performance.md, as one Markdown table; behind `make bench`.
set -eu
cd "$(dirname "$0")/.."
. scripts/spark.sh
export SPARK_HOME="${SPARK_HOME:-$(spark_folder "$SPARK_VERSION")}"
command -v wrk >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk >/dev/null; }
exec /usr/bin/python3 bench/run.py "$@"
