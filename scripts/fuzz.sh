#!/bin/bash
# Runs every fuzzer of a build with -Dfuzzers=true for some seconds, two at a time, from its seeds:
# scripts/fuzz.sh BUILD SECONDS. What a fuzzer finds is left in BUILD/tests/fuzz.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
seconds=$2
one() {
    local name=$1 corpus
    corpus=$(mktemp -d)
    if "$build/tests/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
        -artifact_prefix="$build/tests/fuzz/$name-" "$corpus" "tests/fuzz/seeds/${name#fuzz_}" \
        >"$build/tests/fuzz/$name.log" 2>&1; then
        echo "$name: $(grep -o 'Done [0-9]* runs' "$build/tests/fuzz/$name.log" || echo ran)"
    else
        echo "$name FAILED:"
        tail -n 40 "$build/tests/fuzz/$name.log"
        touch "$build/tests/fuzz/failed"
    fi
    rm -rf "$corpus"
}
rm -f "$build/tests/fuzz/failed"
for source in tests/fuzz/fuzz_*.c; do
    while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
    one "$(basename "$source" .c)" &
done
wait
[ ! -e "$build/tests/fuzz/failed" ]
