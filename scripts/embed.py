#!/usr/bin/env python3
"""Writes files as one C array of strings: embed.py NAME OUTPUT FILE..."""
import sys

name, output, *files = sys.argv[1:]
with open(output, "w", encoding="utf-8") as out:
    out.write(f"extern const char *const {name}[];\nconst char *const {name}[] = {{\n")
    for path in files:
        with open(path, encoding="utf-8") as source:
            for line in source.read().splitlines():
                escaped = line.replace("\\", "\\\\").replace('"', '\\"')
                out.write(f'    "{escaped}\\n"\n')
        out.write("    ,\n")
    out.write("    0};\n")
