#!/usr/bin/env python3
"""A stand-in for Juju's hook tools: relation-ids, relation-list, relation-get, relation-set, network-get,
unit-get, by the name under which it is called.

The real tools cannot run outside Juju: they ask the agent of the unit whose hook is running. This one keeps
what such agents would know in the JSON file JUJU_STAND_IN:

    {"endpoints": {"client:0": {"app": "spark", "relation": "client", "link": "a"},
                   "spark:5": {"app": "user", "relation": "spark", "link": "a"}},
     "links": {"a": {"members": ["spark/0", "user/0"], "data": {"spark/0": {"private-address": "10.0.0.1"}}}},
     "addresses": {"spark/0": "10.0.0.1"}}

An endpoint is one side of a relation, `members` are the units that have joined it and not departed. What is
missing of Juju: changes are visible at once instead of at the end of the hook, and there are no networks.
"""

import json
import os
import sys
from pathlib import Path


def fail(words, code=1):
    print(f"ERROR {words}", file=sys.stderr)
    sys.exit(code)


def main():
    tool, words = Path(sys.argv[0]).name, sys.argv[1:]
    if "JUJU_CONTEXT_ID" not in os.environ:
        fail("JUJU_CONTEXT_ID not set")
    file, unit = Path(os.environ["JUJU_STAND_IN"]), os.environ["JUJU_UNIT_NAME"]
    world = json.loads(file.read_text())
    if tool in world.get("broken", []):
        fail(f"{tool} is told to fail", 2)
    options, rest = {}, []
    while words:
        word = words.pop(0)
        if word == "-r":
            options["r"] = words.pop(0)
        elif word.startswith("--"):
            name, _, value = word[2:].partition("=")
            options[name] = value
        else:
            rest.append(word)
    app = unit.partition("/")[0]
    endpoint = world["endpoints"].get(options.get("r", os.environ.get("JUJU_RELATION_ID", "")))
    if tool in ("relation-list", "relation-get", "relation-set"):
        if endpoint is None or endpoint["app"] != app:
            fail(f'invalid value "{options.get("r")}" for option -r: relation not found', 2)
        link = world["links"][endpoint["link"]]
    answer = None
    if tool == "relation-ids":
        answer = [i for i, e in world["endpoints"].items() if e["app"] == app and e["relation"] == rest[0]]
    elif tool == "relation-list":
        answer = [m for m in link["members"] if not m.startswith(app + "/")]
    elif tool == "relation-get":
        key, other = rest
        if other not in link["members"]:
            fail(f'cannot read settings for unit "{other}"')
        answer = link["data"].get(other, {})
        if key != "-":
            answer = answer.get(key)
    elif tool == "relation-set":
        for pair in rest:
            key, _, value = pair.partition("=")
            own = link["data"].setdefault(unit, {})
            own.pop(key, None)
            if value:
                own[key] = value
        file.write_text(json.dumps(world))
        return
    elif tool in ("network-get", "unit-get"):
        answer = world["addresses"][unit]
    else:
        fail(f"what is {tool}?")
    assert options.get("format") == "json", "hearth reads JSON"
    print(json.dumps(answer))


main()
