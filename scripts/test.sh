#!/bin/bash
# All tests, behind `make test`: unit tests, the same under AddressSanitizer and UBSan, fuzzers for a
# short while, the agent of sessions alone, end-to-end tests on two versions of Spark. The last line counts them.
#
#   FUZZ_SECONDS   for each fuzzer (default 10)
set -u
cd "$(dirname "$0")/.." || exit 1
scripts/setup.sh test || exit 1
. scripts/spark.sh
export SPARK_HOME="${SPARK_HOME:-$(spark_folder "$SPARK_VERSION")}"
HEARTH_SPARK_HOMES="$SPARK_HOME:$(spark_folder "$SPARK_OTHER_VERSION")"
HEARTH_CLUSTER_SPARK_HOMES="$HEARTH_SPARK_HOMES:$(spark_folder "$SPARK_OLD_VERSION")"
export HEARTH_SPARK_HOMES HEARTH_CLUSTER_SPARK_HOMES

passed=0
failed=0
count() { # passed failed
    passed=$((passed + $1))
    failed=$((failed + $2))
}
section() {
    printf '\n== %s (%s s)\n' "$1" "$SECONDS"
}
check() { # one step that either works or does not
    if "$@"; then count 1 0; else count 0 1; fi
}

run_meson() { # build folder, names; leaves ok, bad and the names of those that failed
    local build=$1
    shift
    meson test -C "$build" --no-rebuild --print-errorlogs "$@" | tee "$build/unit.log" | grep -Ev '^ *[0-9]+/[0-9]+ .* OK '
    ok=$(sed -n 's/^Ok: *//p' "$build/unit.log")
    bad=$(awk '/^(Fail|Timeout|Unexpected Pass):/ { n += $NF } END { print n + 0 }' "$build/unit.log")
    names=$(awk '$3 == "FAIL" || $3 == "TIMEOUT" { print $2 }' "$build/unit.log" | sort -u)
}
unit_tests() { # build folder; as with pytest, what fails is tried once more alone
    local ok bad names
    run_meson "$1" --num-processes 2
    if [ "$bad" -gt 0 ] && [ "$bad" -le 3 ] && [ -n "$names" ]; then
        count "$ok" 0
        printf '\n== again, alone, what failed just now: %s\n' "$(echo $names)"
        # shellcheck disable=SC2086
        run_meson "$1" --num-processes 1 $names
    fi
    count "${ok:-0}" "$bad"
}

# Passed and failed tests count, skipped ones do not.
count_of() { # junit file
    "$python" - "$1" <<'PY'
import sys, xml.etree.ElementTree as tree
try:
    s = tree.parse(sys.argv[1]).getroot().find("testsuite").attrib
    bad = int(s["failures"]) + int(s["errors"])
    print("bad=%d good=%d" % (bad, int(s["tests"]) - bad - int(s["skipped"])))
except Exception:
    print("bad=1 good=0")
PY
}

# Those that fail are tried once more, one at a time: a machine that was too busy for a limit is no defect of
# hearth's. They are named, so that somebody looks at them.
run_pytest() { # folder or file, extra options
    local xml cache code bad good
    xml=$(mktemp)
    cache=$(mktemp -d)
    "$python" -m pytest -q -o cache_dir="$cache" --junitxml "$xml" "$@"
    code=$?
    eval "$(count_of "$xml")"
    if [ $code -eq 1 ] && [ "$bad" -gt 0 ] && [ "$bad" -le 10 ]; then
        count "$good" 0
        printf '\n== again, one at a time, what failed just now: %s\n' "$bad"
        "$python" -m pytest -q -o cache_dir="$cache" --last-failed --last-failed-no-failures none -rA --junitxml "$xml" "$@" -n 0
        code=$?
        eval "$(count_of "$xml")"
    fi
    [ $code -le 1 ] || [ "$bad" -gt 0 ] || bad=1
    count "$good" "$bad"
    rm -rf "$xml" "$cache"
}
end_to_end() { # binary, extra options
    local binary=$1
    shift
    HEARTH_BIN=$binary run_pytest tests/e2e "$@"
}

section "build"
check scripts/build.sh build
check scripts/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dfault_points=true --buildtype=debug
check env CC=clang scripts/build.sh build-fuzz -Dfuzzers=true -Db_sanitize=address,undefined -Db_lundef=false
[ $failed -eq 0 ] || { echo "$passed passed, $failed failed"; exit 1; }

section "unit tests"
unit_tests build
section "unit tests, sanitized"
unit_tests build-asan

section "fuzzers, ${FUZZ_SECONDS:-10} s each"
check scripts/fuzz.sh build-fuzz "${FUZZ_SECONDS:-10}"

python=$(scripts/venv.sh) || exit 1
section "the agent of sessions"
run_pytest tests/agent -n 2 --dist loadfile
section "end-to-end tests without Spark"
end_to_end "$PWD/build/hearth" -m "not spark and not hadoop" -n 2 --dist loadfile
section "end-to-end tests without Spark, sanitized server"
end_to_end "$PWD/build-asan/hearth" -m "not spark" -n 2 --dist loadfile
clusters=(tests/e2e/test_standalone.py tests/e2e/test_clusters.py tests/e2e/test_session_cluster.py)
section "end-to-end tests with clusters of Spark"
HEARTH_BIN=$PWD/build/hearth run_pytest "${clusters[@]}" -m spark -n 2
section "end-to-end tests with Spark"
end_to_end "$PWD/build/hearth" -m spark "${clusters[@]/#/--ignore=}"

section "done"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
