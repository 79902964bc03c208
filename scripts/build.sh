#!/bin/sh
# Builds hearth: scripts/build.sh FOLDER [meson options]. Quiet unless something is wrong.
set -eu
cd "$(dirname "$0")/.."
folder=$1
shift
if [ ! -f "$folder/build.ninja" ]; then
    meson setup "$folder" "$@" >"/tmp/hearth-meson.$$" 2>&1 || {
        cat "/tmp/hearth-meson.$$" >&2
        rm -f "/tmp/hearth-meson.$$"
        exit 1
    }
    rm -f "/tmp/hearth-meson.$$"
fi
ninja -C "$folder" --quiet
