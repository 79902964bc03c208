"""hearth's java command lines and environments against those of Spark's own bin/spark-submit.

Each case is run through the real spark-submit with a stand-in for java that writes down what it was
started with (oracle_java), and through hearth's builder (print_command, built beside the unit tests).
Both must agree byte for byte, but for the order of --conf options, which Spark's launcher takes from a
hash table and to which nobody gives a meaning.
"""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import harness

PRINTER = harness.BINARY.parent / "tests" / "unit" / "print_command"
ORACLE_JAVA_HOME = harness.HERE / "oracle_java"
# What the shells on the way change, and what depends on the terminal.
NOT_COMPARED = {"_", "SHLVL", "PWD", "OLDPWD", "ORACLE_JAVA", "ORACLE_OUT", "SPARK_BEELINE_OPTS"}


@dataclass
class Case:
    name: str
    submission: dict
    defaults: str = None  # conf/spark-defaults.conf
    files: dict = field(default_factory=dict)  # others in conf/
    env: dict = field(default_factory=dict)  # "{tmp}" is the test's folder
    refused: object = False  # True, or the versions' first digits that refuse it


def conf(**more):
    return {"file": "/apps/app.py", "conf": {k.replace("__", "."): v for k, v in more.items()}}


PLAIN = {"file": "/apps/app.py"}
NASTY = ["", " ", "a b", '"', "'", "\\", "\\\\n", "$HOME", "${X}", "`id`", "$(id)", "*", "?", "~", "a=b", "--conf",
         "--class", "-x", "äöü 火", "line\nbreak", "tab\there", "#", "!", ";", "&", "|", "<>", "%s", "%d"]
OPTIONS = "spark__driver__extraJavaOptions"
CLUSTER = {"master": "spark://m:7077", "deployMode": "cluster"}

CASES = [
    Case("a file alone", PLAIN),
    Case("a jar with a class", {"file": "/apps/app.jar", "className": "com.example.Main", "args": ["1"]}),
    Case("every field", {
        "file": "hdfs:///apps/app.py", "className": "x.Y", "args": ["a", "b"], "name": "my job",
        "master": "yarn", "deployMode": "client", "proxyUser": "alice", "queue": "root.q",
        "pyFiles": ["a.py", "b.zip"], "conf": {"spark.executor.memory": "3g"}}),
    Case("nasty arguments", {"file": "/apps/app.py", "args": NASTY}),
    Case("nasty conf values", {"file": "/apps/app.py", "conf": {f"spark.k{i}": v for i, v in enumerate(NASTY)}}),
    Case("nasty name and file", {"file": "/apps/my app '$x\".py", "name": "--name \"q\" $x"}),
    Case("nasty names of everything", {"file": "/a.py", "proxyUser": "al ice", "queue": "a;b", "className": "a b",
                                       "pyFiles": ["a b.py", "c,d.py"]}),
    Case("many conf keys", {"file": "/apps/app.py", "conf": {f"spark.key.{i}": str(i) for i in range(200)}}),
    Case("an empty conf value", conf(spark__x="")),
    Case("a conf value with equal signs", conf(spark__x="a=b=c")),
    Case("driver memory in conf", conf(spark__driver__memory="3g")),
    Case("an unreadable driver memory is java's affair", conf(spark__driver__memory="banana")),
    Case("an empty driver memory is none", conf(spark__driver__memory=""), env={"SPARK_DRIVER_MEMORY": "5g"}),
    Case("driver memory from the defaults", PLAIN, "spark.driver.memory 4g\n"),
    Case("driver memory from SPARK_DRIVER_MEMORY", PLAIN, env={"SPARK_DRIVER_MEMORY": "5g"}),
    Case("driver memory from SPARK_MEM", PLAIN, env={"SPARK_MEM": "6g"}),
    Case("conf wins over defaults over environment", conf(spark__driver__memory="1g"), "spark.driver.memory 2g\n",
         env={"SPARK_DRIVER_MEMORY": "3g"}),
    Case("java options", conf(**{OPTIONS: "-Da=b  -Dc='d e' -Df=\"g h\"\\ i -Dj=\\\"k"})),
    Case("java options, empty and blank quotes", conf(**{OPTIONS: "'' \"\" ' ' -Da=''"})),
    Case("java options, other white space", conf(**{OPTIONS: "\t-Da=b\n-Dc=d\x0b-De=f\x1c-Dg=h "})),
    Case("java options, a backslash in single quotes", conf(**{OPTIONS: r"'a\b' a\ b \'c"})),
    Case("java options, default and extra", conf(
        spark__driver__defaultJavaOptions="-XX:+UseG1GC -Dx=1", spark__driver__extraJavaOptions="-Dx=2")),
    Case("java options with an open quote", conf(**{OPTIONS: "-Da='b"}), refused=True),
    Case("java options with a backslash at the end", conf(**{OPTIONS: "-Da=b\\"}), refused=True),
    Case("-Xmx in the extra java options", conf(**{OPTIONS: "-Da=b -Xmx2g"}), refused=True),
    Case("-Xmx in the default java options", conf(spark__driver__defaultJavaOptions="-Xmx2g"), refused=True),
    Case("-Xmx in cluster mode", {**conf(**{OPTIONS: "-Xmx2g"}), **CLUSTER}, refused=True),
    Case("Xmx inside an option", conf(**{OPTIONS: "-Dnot.Xmx=2g"}), refused="3"),
    Case("-Xms is allowed", conf(**{OPTIONS: "-Xms512m"})),
    Case("cluster mode", {**PLAIN, **CLUSTER}),
    Case("cluster mode leaves driver settings to the cluster", {**PLAIN, **CLUSTER, "conf": {
        "spark.driver.memory": "7g", "spark.driver.extraClassPath": "/x", "spark.driver.extraLibraryPath": "/l",
        "spark.driver.extraJavaOptions": "-Da=b"}}),
    Case("cluster mode without a master is client mode", {**PLAIN, "deployMode": "cluster"}),
    Case("deploy mode in conf", {**conf(spark__submit__deployMode="cluster"), "master": "yarn"}),
    Case("master and deploy mode in the defaults", PLAIN, "spark.master yarn\nspark.submit.deployMode=cluster\n"),
    Case("the field wins over the defaults", {**PLAIN, "deployMode": "client"},
         "spark.master yarn\nspark.submit.deployMode=cluster\n"),
    Case("kubernetes", {**PLAIN, "master": "k8s://https://h:6443", "deployMode": "cluster", "name": "j"}),
    Case("extra class path", conf(spark__driver__extraClassPath="/opt/x.jar:/opt/y/*")),
    Case("extra class path with folders and repeats", conf(spark__driver__extraClassPath="/usr:/usr/::/usr:/none")),
    Case("extra class path from the defaults", PLAIN, "spark.driver.extraClassPath /opt/x.jar\n"),
    Case("a blank extra class path", conf(spark__driver__extraClassPath=" ")),
    Case("a default extra class path", conf(spark__driver__defaultExtraClassPath="/opt/d.jar")),
    Case("extra and default extra class path", conf(
        spark__driver__defaultExtraClassPath="/opt/d.jar", spark__driver__extraClassPath="/opt/x.jar")),
    Case("an empty default extra class path", conf(spark__driver__defaultExtraClassPath="")),
    Case("extra library path", conf(spark__driver__extraLibraryPath="/opt/lib")),
    Case("extra library path behind the environment's", conf(spark__driver__extraLibraryPath="/opt/lib"),
         env={"LD_LIBRARY_PATH": "/usr/lib/x"}),
    Case("hadoop's folders", PLAIN, env={"HADOOP_CONF_DIR": "{tmp}", "YARN_CONF_DIR": "/none"}),
    Case("the same folder for both", PLAIN, env={"HADOOP_CONF_DIR": "{tmp}", "YARN_CONF_DIR": "{tmp}/"}),
    Case("SPARK_DIST_CLASSPATH", PLAIN, env={"SPARK_DIST_CLASSPATH": "/opt/h/*:{tmp}:/opt/h/a.jar"}),
    Case("SPARK_SUBMIT_OPTS", PLAIN, env={"SPARK_SUBMIT_OPTS": "-Da=b '-Dc=d e'"}),
    Case("SPARK_SUBMIT_OPTS may set the heap", PLAIN, env={"SPARK_SUBMIT_OPTS": "-Xmx9g"}),
    Case("java-opts", PLAIN, files={"java-opts": "-Da=b -Dc='d e'\n\n  -De=f\r\n-Dg=h"}),
    Case("an open quote in java-opts", PLAIN, files={"java-opts": "-Da='b\n'"}, refused=True),
    Case("no folder conf", PLAIN, env={"SPARK_CONF_DIR": "{tmp}/none"}),
    Case("spark-env.sh", PLAIN, files={"spark-env.sh":
         "echo noise\nSPARK_DRIVER_MEMORY=2345m\nexport FOO='a b\nc'\nBAR=$FOO\nunset GONE\nSPARK_SUBMIT_OPTS=-Dfrom=env\n"},
         env={"GONE": "x"}),
    Case("spark-env.sh is not read twice", PLAIN, files={"spark-env.sh": "SPARK_DRIVER_MEMORY=2345m\n"},
         env={"SPARK_ENV_LOADED": "1"}),
    Case("spark-env.sh sets SPARK_CONF_DIR", PLAIN, files={
        "spark-env.sh": "SPARK_CONF_DIR=$SPARK_CONF_DIR/other\n", "other/spark-defaults.conf": "spark.driver.memory 9g\n"}),
    Case("defaults, all separators", PLAIN,
         "spark.driver.memory=1g\n  spark.driver.extraClassPath\t :  /x.jar  \nspark.driver.extraJavaOptions -Da=b:c \n"),
    Case("defaults, comments and blank lines", PLAIN,
         "# spark.driver.memory 1g\n\n ! spark.driver.memory 2g\n\t\nspark.driver.memory 3g # not a comment\n"),
    Case("defaults, continuation lines", PLAIN,
         "spark.driver.extraJavaOptions -Da=b \\\n    -Dc=d \\\n\t-De=f\nspark.driver.\\\n  memory 2g\n"),
    Case("defaults, escapes", PLAIN,
         "spark.driver.extraJavaOptions -Da=\\u00e4\\u706b\\tb\\:c\\\\\\\\d\nspark.driver\\u002ememory 2g\n"
         "spark.driver.extraClassPath /\\ud83d\\udd25.jar\n"),
    Case("defaults, windows and old mac line ends", PLAIN, "spark.driver.memory 2g\r\nspark.master local\rspark.x y\r\n"),
    Case("defaults, the last one wins", PLAIN, "spark.driver.memory 2g\nspark.driver.memory 3g\n"),
    Case("defaults, a key without a value", conf(spark__x="1"), "spark.driver.memory\nspark.driver.extraClassPath=\n"),
    Case("defaults, a backslash at the very end", PLAIN, "spark.driver.memory 2g\\"),
    Case("defaults, an odd and an even number of backslashes", PLAIN,
         "spark.driver.extraClassPath /a\\\\\nspark.driver.memory 2g\\\\\\\nb\n"),
    Case("defaults, a bad escape", PLAIN, "spark.driver.memory \\u12g4\n", refused=True),
    Case("defaults that are a folder", PLAIN, files={"spark-defaults.conf/x": ""}),
    Case("an empty key of conf hides the defaults'", conf(spark__driver__extraJavaOptions=""),
         "spark.driver.extraJavaOptions -Da=b\n"),
    Case("spark connect by spark.remote", conf(spark__remote="sc://host")),
    Case("spark connect by api mode", conf(spark__api__mode="Connect")),
    Case("classic by api mode", conf(spark__api__mode="classic"), env={"SPARK_CONNECT_MODE": "1"}),
    Case("spark connect by the environment", PLAIN, env={"SPARK_CONNECT_MODE": "1"}),
    Case("the thrift server", {
        "file": None, "className": "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"},
        env={"SPARK_DAEMON_MEMORY": "3g", "SPARK_DAEMON_JAVA_OPTS": "-Dd=1"}),
    Case("the SQL shell", {
        "file": "-e", "args": ["select 1"], "className": "org.apache.spark.sql.hive.thriftserver.SparkSQLCLIDriver"}),
    Case("no file", {"file": None, "className": "com.example.Main"}, refused=True),
    Case("a file like an option", {"file": "--what"}, refused=True),
]


def spark_submit_args(s):
    args = []
    for option, name in [("--master", "master"), ("--deploy-mode", "deployMode"), ("--class", "className"),
                         ("--name", "name"), ("--proxy-user", "proxyUser"), ("--queue", "queue")]:
        if s.get(name) is not None:
            args += [option, s[name]]
    if s.get("pyFiles"):
        args += ["--py-files", ",".join(s["pyFiles"])]
    for key, value in s.get("conf", {}).items():
        args += ["--conf", f"{key}={value}"]
    return args + ([s["file"]] if s["file"] is not None else []) + s.get("args", [])


def with_sorted_conf(argv):
    """The same command with the block of --conf options behind the main class in order."""
    i = argv.index("org.apache.spark.deploy.SparkSubmit") + 1
    while i + 1 < len(argv) and argv[i] in ("--master", "--deploy-mode"):
        i += 2
    end = i
    while end + 1 < len(argv) and argv[end] == "--conf":
        end += 2
    return argv[:i] + sorted(argv[i + 1:end:2]) + argv[end:]


def command_in(data):
    """argv and environment from their NUL-terminated form."""
    parts = data.decode().split("\0")
    # Arguments may be empty themselves: the environment begins at the last empty string but the end's.
    cut = len(parts) - 2 - parts[-3::-1].index("") - 1 if "" in parts[:-2] else 0
    env = dict(p.split("=", 1) for p in parts[cut + 1:] if "=" in p)
    return parts[:cut], {k: v for k, v in env.items() if k not in NOT_COMPARED}


class Oracle:
    def __init__(self, home, folder):
        self.home = home
        self.folder = folder

    def environment(self, case):
        conf_dir = self.folder / "conf"
        files = dict(case.files)
        if case.defaults is not None:
            files["spark-defaults.conf"] = case.defaults
        conf_dir.mkdir()
        for name, text in files.items():
            (conf_dir / name).parent.mkdir(exist_ok=True)
            (conf_dir / name).write_bytes(text.encode())
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "SPARK_HOME": self.home,
               "SPARK_CONF_DIR": str(conf_dir), "JAVA_HOME": str(ORACLE_JAVA_HOME),
               "ORACLE_JAVA": os.path.realpath(shutil.which("java")), "ORACLE_OUT": str(self.folder / "command")}
        env.update({k: v.replace("{tmp}", str(self.folder)) for k, v in case.env.items()})
        return env

    def ask_spark(self, case, env):
        """What spark-submit would start; None when it refuses."""
        done = subprocess.run([f"{self.home}/bin/spark-submit", *spark_submit_args(case.submission)], env=env,
                              cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        written = Path(env["ORACLE_OUT"])
        if not written.exists():
            assert done.returncode != 0, done
            return None
        command = command_in(written.read_bytes())
        # For what its launcher refuses it starts java all the same, only to print the usage and fail.
        return None if command[0][-1] == "--usage-error" else command

    def ask_hearth(self, case, env):
        """What hearth would start; None when it refuses."""
        line = json.dumps({k: v for k, v in case.submission.items() if v is not None}) + "\n"
        done = subprocess.run([PRINTER, self.home], env=env, cwd=self.folder, input=line.encode(),
                              capture_output=True, timeout=60)
        assert done.returncode == 0, done
        return None if done.stdout.startswith(b"!") else command_in(done.stdout[:-1])


@pytest.mark.every_spark
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_hearth_starts_what_spark_submit_would(case, spark_home, tmp_path):
    if not PRINTER.exists():
        pytest.skip(f"{PRINTER} was not built")
    oracle = Oracle(spark_home, tmp_path)
    env = oracle.environment(case)
    expected = oracle.ask_spark(case, env)
    ours = oracle.ask_hearth(case, env)
    version = next(Path(spark_home).glob("jars/spark-core_*.jar")).stem.rpartition("-")[2]
    refused = case.refused is True or (case.refused and version.startswith(case.refused))
    assert (expected is None) == bool(refused), "spark-submit itself decides otherwise"
    if refused:
        assert ours is None
    else:
        assert with_sorted_conf(ours[0]) == with_sorted_conf(expected[0])
        assert ours[1] == expected[1]
