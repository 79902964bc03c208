#!/usr/bin/env python3
"""Merges the parts of the API's description into one: openapi.py VERSION OUTPUT FILE...

Objects are merged member by member, lists are appended; a value that two parts give is an error, and so is a
reference to something that is in none of them."""
import json
import sys


def merge(into, part, where):
    for key, value in part.items():
        if key not in into:
            into[key] = value
        elif isinstance(value, dict) and isinstance(into[key], dict):
            merge(into[key], value, f"{where}/{key}")
        elif isinstance(value, list) and isinstance(into[key], list):
            into[key] += value
        else:
            sys.exit(f"openapi: {where}/{key} is given twice")


def references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def check(document, reference):
    at = document
    for key in reference.removeprefix("#/").split("/"):
        key = key.replace("~1", "/").replace("~0", "~")
        if not isinstance(at, dict) or key not in at:
            sys.exit(f"openapi: {reference} leads nowhere")
        at = at[key]


version, output, *files = sys.argv[1:]
document = {}
for path in files:
    with open(path, encoding="utf-8") as source:
        merge(document, json.load(source), "")
document["info"]["version"] = version
for reference in set(references(document)):
    check(document, reference)
with open(output, "w", encoding="utf-8") as out:
    json.dump(document, out, indent=1, ensure_ascii=True)
    out.write("\n")
