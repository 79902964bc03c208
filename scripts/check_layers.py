#!/usr/bin/env python3
"""Reads the #include lines of src/ and prints every arrow that points the wrong way.

A module uses what USES gives it and nothing else, and no other module's *_internal.h. Every header
opens with a comment that tells what it is for.
"""

import pathlib
import re
import sys

# doors -> core -> backends -> loop -> base
USES = {
    "base": "",
    "loop": "base",
    "hdfs": "loop base",
    "schedule": "base",
    "spark": "loop base",
    "rpc": "spark loop base",
    "cluster": "rpc spark loop base",
    "store": "loop base",
    "guard": "spark loop base",
    "app": "cluster rpc guard store spark loop base",
    "session": "app store spark loop base",
    "discovery": "cluster store loop base",
    "hdfs": "loop base",
    "scheduler": "app schedule store cluster spark loop base",
    "door": "app store spark loop base",
    "livy": "door session app guard store spark loop base",
    "submissions": "door app spark loop base",
    "provision": "door scheduler schedule hdfs app store spark loop base",
    "web": "door scheduler schedule cluster session app store spark loop base",
    "cmd": "discovery submissions provision hdfs scheduler schedule livy web door session app cluster rpc guard store spark loop base",
    "main": "cmd base",
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def module_of(path):
    """src/app/kill.c -> app; src/main.c -> main."""
    return path.parts[0] if len(path.parts) > 1 else path.stem


def wrong_arrow(user, included):
    """Why `user` may not include this header, or None."""
    module = module_of(pathlib.PurePath(included))
    if module not in USES:
        return f"{included}: a project header is named by its path below src/"
    if module == user:
        return None
    if included.endswith("_internal.h"):
        return f"{included}: it is internal to {module}"
    if module not in USES[user].split():
        return f"{included}: {user} must not use {module}"
    return None


def problems(source):
    for path in sorted(source.rglob("*.[ch]")):
        name = path.relative_to(source)
        text = path.read_text()
        user = module_of(name)
        if user not in USES:
            yield f"{name}: what may {user} use? Say so in {pathlib.Path(__file__).name}"
            continue
        for included in INCLUDE.findall(text):
            why = wrong_arrow(user, included)
            if why:
                yield f"{name} includes {why}"
        if path.suffix == ".h" and not text.startswith("/*"):
            yield f"{name}: a header opens with a comment that tells what it is for"


def main():
    source = pathlib.Path(__file__).resolve().parent.parent / "src"
    found = list(problems(source))
    print("\n".join(found) if found else "layers: every arrow points down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
