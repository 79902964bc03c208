# Where Spark and the tests' Hadoop are, for the other scripts (to be sourced). Without SPARK_HOME a Spark of its own is
# installed under ~/.cache/hearth, shared by all checkouts.
SPARK_VERSION=${SPARK_VERSION:-3.5.7}
SPARK_OTHER_VERSION=${SPARK_OTHER_VERSION:-4.1.4}
SPARK_OLD_VERSION=${SPARK_OLD_VERSION:-3.3.4} # only for clusters that tests start
spark_cache=${XDG_CACHE_HOME:-$HOME/.cache}/hearth

spark_folder() {
    echo "$spark_cache/spark-$1/pyspark"
}

# Installs Spark $1 unless it is there; complete or not at all.
install_spark() {
    [ -x "$(spark_folder "$1")/bin/spark-submit" ] && return 0
    echo "setup: installing Spark $1 (some 400 MB) under $spark_cache"
    mkdir -p "$spark_cache"
    rm -rf "$spark_cache/spark-$1.new"
    PIP_ROOT_USER_ACTION=ignore /usr/bin/python3 -m pip install --quiet --no-warn-script-location \
        --target "$spark_cache/spark-$1.new" "pyspark==$1"
    rm -rf "$spark_cache/spark-$1"
    mv "$spark_cache/spark-$1.new" "$spark_cache/spark-$1"
}

# Has Maven fetch the jars of the tests' HDFS (tests/e2e/hdfs.py) unless they are there; complete or not at all.
install_hadoop() {
    pom=tests/e2e/hdfs_cluster/pom.xml
    folder=$spark_cache/hadoop-$(sed -n 's/.*<hadoop.version>\(.*\)<.*/\1/p' "$pom")
    [ -d "$folder" ] && return 0
    echo "setup: installing Hadoop's jars for tests (some 90 MB) in $folder"
    rm -rf "$folder.new"
    mvn -q -B -f "$pom" dependency:copy-dependencies "-DoutputDirectory=$folder.new"
    mv "$folder.new" "$folder"
}
