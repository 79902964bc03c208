#!/bin/sh
# The demonstration behind `make run`: starts a server with its defaults, runs a word count over a text
# that ships with hearth, an estimate of pi and a session, and shows where to look. On a terminal the server goes on
# until Ctrl-C; without one the script ends with the exit code of the applications.
set -u
cd "$(dirname "$0")/.."
. scripts/spark.sh
export SPARK_HOME="${SPARK_HOME:-$(spark_folder "$SPARK_VERSION")}"
state=${HEARTH_SERVER_STATE_DIR:-$PWD/.run/state}
log=$PWD/.run/server.log
mkdir -p .run

# A port that is free: Livy's own, or the next one that is.
port=8998
taken() {
    python3 -c "import socket, sys; sys.exit(socket.socket().connect_ex(('127.0.0.1', $1)) != 0)"
}
while taken $port; do
    port=$((port + 1))
done
export HEARTH_URL="http://127.0.0.1:$port"

echo "Starting: hearth serve --listen 127.0.0.1:$port --state $state"
build/hearth serve --listen "127.0.0.1:$port" --state "$state" 2>"$log" &
server=$!
trap 'kill $server 2>/dev/null; wait $server 2>/dev/null; exit ${result:-130}' INT TERM EXIT

tries=0
until build/hearth status >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ $tries -gt 200 ] || ! kill -0 $server 2>/dev/null; then
        echo "The server did not start:" >&2
        cat "$log" >&2
        result=1
        exit 1
    fi
    sleep 0.1
done

result=0
run() {
    echo
    echo "\$ hearth submit $*"
    build/hearth submit "$@" || result=$?
}
run --conf spark.ui.showConsoleProgress=false examples/word_count.py "$PWD/examples/alice.txt" 10
run --conf spark.ui.showConsoleProgress=false examples/spark_pi.py 4
ids=$(build/hearth ps -a --json |
    python3 -c 'import json, sys; print(*[s["id"] for s in json.load(sys.stdin)["sessions"][-2:]])')
for id in $ids; do
    echo
    echo "\$ hearth logs --stdout $id        # the result"
    build/hearth logs --stdout "$id"
done

echo
echo "\$ hearth session start; hearth session exec …"
if session=$(build/hearth session start --conf spark.ui.showConsoleProgress=false); then
    build/hearth session exec "$session" 'spark.range(1000).selectExpr("sum(id)").show()' || result=$?
    build/hearth session exec "$session" --kind sql 'select id, id * id as square from range(3)' || result=$?
    build/hearth session stop "$session" || result=$?
else
    result=1
fi

echo
echo "\$ hearth ps -a"
build/hearth ps -a
cat <<WORDS

Look at
  $HEARTH_URL/batches               every batch, as Livy shows it
  $HEARTH_URL/batches/$id/log         what the last one printed
  $HEARTH_URL/hearth/batches/$id      all that is known of it
  $HEARTH_URL/sessions              interactive sessions
  $HEARTH_URL/hearth/status         the server
  $log
WORDS
if [ -t 0 ] && [ -t 1 ]; then
    echo
    echo "The server runs until Ctrl-C. In another terminal:  HEARTH_URL=$HEARTH_URL build/hearth submit --help"
    wait $server
    result=$?
fi
exit $result
