"""Runs the cells of a notebook in one of sparkmagic's kernels, as a notebook server would, and prints what each
cell showed as one line of JSON. It runs in the environment that has Jupyter (scripts/venv.sh), not in the tests' own:

    notebook.py < {"kernel": "pysparkkernel", "url": "http://…", "config": {…}, "cells": ["…", …]}

The answer is a list with the outputs of each cell; a cell that failed does not keep the next ones from running.
"""

import json
import os
import sys
import tempfile

import nbformat
import sparkmagic
from nbclient import NotebookClient


def configure(folder, wish):
    """sparkmagic's own configuration file: where the server is, and what the test adds."""
    credentials = {"username": "", "password": "", "url": wish["url"], "auth": "None"}
    config = {"kernel_python_credentials": credentials, "kernel_scala_credentials": credentials, **wish.get("config", {})}
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    os.environ["SPARKMAGIC_CONF_DIR"] = folder
    # The kernels' descriptions lie in the package: sparkmagic/kernels/pysparkkernel/kernel.json and so on.
    os.environ["JUPYTER_PATH"] = os.path.dirname(sparkmagic.__file__)


def main():
    wish = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        configure(folder, wish)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in wish["cells"]])
        NotebookClient(notebook, kernel_name=wish["kernel"], timeout=120, startup_timeout=60, allow_errors=True).execute()
    json.dump([cell.outputs for cell in notebook.cells], sys.stdout)


if __name__ == "__main__":
    main()
