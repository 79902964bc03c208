"""The driver of an interactive session: `python3 <this folder> <session.json>`.

hearth's guard starts it like every driver. It starts the JVM, connects back to hearth and hosts the
interpreters. What takes time is done beside each other from the first moment: the JVM starts while
the modules are loaded, and the session can take statements before there is a SparkContext.
"""

import json
import os
import sys


def main():
    folder = sys.path[0] = os.path.abspath(sys.path[0])
    config, token = read_config(sys.argv[1])
    # Only what the first steps need; the rest is loaded while the JVM starts.
    from driver import Jvm, prepare_environment
    from link import Link
    from session import Session

    private = os.path.abspath(".agent")
    class_dir = os.path.join(private, "classes")
    os.mkdir(private, 0o700)
    os.mkdir(class_dir)
    jvm = Jvm(config["java"], prepare_environment(config["sparkHome"]), private)
    link = Link(config, token, os.path.join(private, "spool"))
    session = Session(config, link, jvm, class_dir)
    session.start()
    session.load_interpreters()
    hide(folder)
    session.run()


def read_config(path):
    """The server's file, which holds the token and must not stay."""
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    os.unlink(path)
    return config, bytes.fromhex(config.pop("token"))


def hide(folder):
    """Statements import modules of their own, which may be called as ours are."""
    sys.path[0] = ""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name != "__main__" and os.path.dirname(file) == folder:
            del sys.modules[name]


if __name__ == "__main__":
    main()
