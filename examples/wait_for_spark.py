"""Waits until a Spark may be used, and prints its master's URL: wait_for_spark.py [OFFER]

HEARTH_URL says which hearth is asked, else http://127.0.0.1:8998. Needs Python alone.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

server = os.environ.get("HEARTH_URL", "http://127.0.0.1:8998")
name = sys.argv[1] if len(sys.argv) > 1 else "main"
since = 0
while True:
    # The server holds its answer until there is something new, at most for a minute.
    try:
        with urllib.request.urlopen(f"{server}/v1/discovery/{name}?wait=60&since={since}", timeout=90) as answer:
            offer = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != 404:  # nobody has offered it within this minute
            raise
        continue
    except OSError as error:
        print(f"{server}: {error}; trying again", file=sys.stderr)
        time.sleep(1)
        continue
    if {"master", "ready"} <= set(offer["states"]):
        print(offer["connection_string"])
        break
    since = offer["version"]
