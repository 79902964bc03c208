#!/bin/sh
# Installs what building, running and testing hearth needs and this machine lacks: Debian or Ubuntu
# packages, and Spark in a folder of its own unless SPARK_HOME names one. Quick when all is there.
#
#   scripts/setup.sh            to build and run
#   scripts/setup.sh test       also what the tests need
set -eu
cd "$(dirname "$0")/.."
. scripts/spark.sh

packages="gcc meson ninja-build pkg-config libc6-dev libuv1-dev libmicrohttpd-dev libjansson-dev
    libyaml-dev uthash-dev libsqlite3-dev libcurl4-openssl-dev libedit-dev libssl-dev libcrypt-dev zlib1g-dev
    libcmocka-dev tzdata python3 python3-pip"
if [ "${1:-}" = test ]; then
    packages="$packages clang libclang-rt-dev valgrind python3-venv python3-pytest python3-requests
        python3-pytest-timeout python3-pytest-xdist procps sqlite3 iproute2 r-base-core libzookeeper-java maven libfaketime
        krb5-kdc krb5-admin-server krb5-user python3-gssapi"
fi

# The names of packages that the system does not have; libclang-rt-dev is numbered on Debian.
missing=""
for package in $packages; do
    case $package in
    libclang-rt-dev) ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a >/dev/null 2>&1 && continue ;;
    esac
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
command -v java >/dev/null 2>&1 || [ -x "${JAVA_HOME:-/none}/bin/java" ] || missing="$missing java"
if [ "${1:-}" = test ]; then # the tests' HDFS is compiled when it starts
    command -v javac >/dev/null 2>&1 || [ -x "${JAVA_HOME:-/none}/bin/javac" ] || missing="$missing jdk"
fi

if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "setup: these packages are missing, and only root can install them:$missing" >&2
        exit 1
    fi
    echo "setup: installing$missing"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    list=""
    for package in $missing; do
        case $package in
        java) # the newest one that both Spark 3.5 and 4 run on
            if apt-cache show openjdk-17-jre-headless >/dev/null 2>&1; then
                package=openjdk-17-jre-headless
            else
                package=default-jre-headless
            fi ;;
        jdk)
            if apt-cache show openjdk-17-jdk-headless >/dev/null 2>&1; then
                package=openjdk-17-jdk-headless
            else
                package=default-jdk-headless
            fi ;;
        libclang-rt-dev)
            version=$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\).*/\1/p' | head -n 1)
            package=libclang-rt-$version-dev ;;
        esac
        list="$list $package"
    done
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $list >/dev/null
fi

[ -n "${SPARK_HOME:-}" ] || install_spark "$SPARK_VERSION"
if [ "${1:-}" = test ]; then
    install_spark "$SPARK_OTHER_VERSION"
    install_spark "$SPARK_OLD_VERSION"
    install_hadoop
fi
