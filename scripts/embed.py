#!/usr/bin/env python3
"""Writes files as one C array of strings: embed.py [--named] NAME OUTPUT FILE...

With --named each file's content follows its name."""
import os
import sys

named = sys.argv[1] == "--named"
name, output, *files = sys.argv[1 + named :]
with open(output, "w", encoding="utf-8") as out:
    out.write('#pragma GCC diagnostic ignored "-Woverlength-strings"\n')
    out.write(f"extern const char *const {name}[];\nconst char *const {name}[] = {{\n")
    for path in files:
        if named:
            out.write(f'    "{os.path.basename(path)}",\n')
        with open(path, encoding="utf-8") as source:
            for line in source.read().splitlines():
                escaped = line.replace("\\", "\\\\").replace('"', '\\"')
                out.write(f'    "{escaped}\\n"\n')
        out.write("    ,\n")
    out.write("    0};\n")
