#!/bin/bash
# Everything that can be checked without running hearth, behind `make check`: format, layers, Python,
# clang-tidy. Needs clang-format and clang-tidy (installed when root asks). Says what is wrong and
# goes on to the next check; fails at the end.
set -u
cd "$(dirname "$0")/.." || exit 1
if ! command -v clang-tidy >/dev/null || ! command -v clang-format >/dev/null; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends clang clang-tidy clang-format >/dev/null || exit 1
fi

failed=0
check() { # name, command...
    local name=$1
    shift
    if "$@" >"$log" 2>&1; then
        printf '%-10s ok\n' "$name"
    else
        printf '%-10s FAILED\n' "$name"
        cat "$log"
        failed=1
    fi
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# All C files that git knows or would add.
c_files() {
    git ls-files --cached --others --exclude-standard -- '*.c' '*.h' | while read -r file; do
        [ -f "$file" ] && printf '%s\n' "$file"
    done
}

check_format() {
    c_files | xargs clang-format --dry-run -Werror
}

check_python() {
    python3 - <<'PY'
import pathlib, sys
bad = 0
for folder in ("agent", "scripts", "bench", "tests", "examples"):
    for path in sorted(pathlib.Path(folder).rglob("*.py")):
        try:
            compile(path.read_bytes(), str(path), "exec")
        except SyntaxError as error:
            print(f"{path}:{error.lineno}: {error.msg}")
            bad = 1
sys.exit(bad)
PY
}

# clang-tidy reads how files are compiled from a build folder of its own, made by clang. One process
# for each of two processors; only findings are shown, not the counts of what was suppressed.
check_tidy() {
    CC=clang scripts/build.sh build-check --buildtype=debug || return 1
    git ls-files --cached --others --exclude-standard -- 'src/*.c' | while read -r file; do
        [ -f "$file" ] && printf '%s\0' "$file"
    done | xargs -0 -P 2 -n 4 clang-tidy -p build-check --quiet 2>/dev/null
}

check format check_format
check layers python3 scripts/check_layers.py
check python check_python
check tidy check_tidy
exit $failed
