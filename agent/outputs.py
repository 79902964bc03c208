"""The two shapes of a statement's output, and their size.

The limit counts the bytes of the output as JSON, which is what travels, is stored and is read by
clients. Printed text is cut, for its beginning is worth having; half a table or half an image is
not, so those give an error instead.
"""

import json

from tables import clean_text

TEXT = "text/plain"
# What hearth adds to the output before a client sees it: "execution_count" and its number.
RESERVED = 32
# Taken now: statements may do what they like to the json module later.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def ok(data):
    """A good end. data: dict from media type to value."""
    return {"status": "ok", "data": data}


def error(ename, evalue, traceback=()):
    """A bad end. traceback: lines, each with its newline."""
    return {
        "status": "error",
        "ename": clean_text(ename),
        "evalue": clean_text(evalue),
        "traceback": [clean_text(line) for line in traceback],
    }


def fit(output, limit, printed=None):
    """The output within limit bytes. printed: how many bytes the statement printed, when its
    text/plain may hold less than that because collecting stopped."""
    if output["status"] == "error":
        return _fit_error(output, limit)
    data = dict(output["data"])
    text = clean_text(data.pop(TEXT, ""))
    room = limit - RESERVED - _json_bytes(ok(dict(data, **{TEXT: ""})))
    if room < 0 and data:
        return _too_large(data, limit)
    if text or not data:
        data[TEXT] = _cut(text, max(room, 0), printed)
    return ok(data)


def _fit_error(output, limit):
    room = limit - RESERVED - _json_bytes(error(output["ename"], ""))
    evalue = _cut(output["evalue"], max(room // 2, 0))
    room -= _json_bytes(evalue)
    lines = []
    for line in output["traceback"]:
        size = _json_bytes(line) + 1
        if size > room:
            lines.append(_cut(line, max(room - 1, 0)))
            break
        room -= size
        lines.append(line)
    return error(output["ename"], evalue, lines)


def _too_large(data, limit):
    sizes = ", ".join("%s of %d bytes" % (kind, _json_bytes(data[kind])) for kind in sorted(data))
    return error("OutputTooLarge", "%s; sessions.output_limit is %d bytes" % (sizes, limit))


def _json_bytes(value):
    return len(_encode(value).encode("utf-8"))


def _cut(text, room, total=None):
    """The text, or its head and a line that says so when it needs more than room bytes of JSON or
    is itself only the head of total bytes."""
    complete = len(text) if text.isascii() else len(text.encode("utf-8"))
    total = max(total or 0, complete)
    # No character needs more than six bytes: most texts need no look at each.
    fits = len(text) * 6 <= room or _json_bytes(text) - 2 <= room
    if fits and total == complete:
        return text
    head = _head(text, room - _json_bytes(_notice(total, total)) - 2)
    if head.endswith("\n"):
        head = head[:-1]
    return head + _notice(len(head.encode("utf-8")), total)


def _notice(shown, total):
    return "\n… [output truncated: %d of %d bytes shown; sessions.output_limit]" % (shown, total)


def _head(text, room):
    """The longest beginning of the text that needs at most room bytes inside a JSON string."""
    step = 65536
    start = 0
    while start < len(text) and step > 0:
        size = _json_bytes(text[start : start + step]) - 2
        if size <= room:
            room -= size
            start += step
        else:
            step //= 2
    return text[:start]


def java_error(problem):
    """The output for an exception that came from the JVM: its message and its frames. None if it
    did not come from there."""
    origin = getattr(problem, "_origin", None) or getattr(problem, "java_exception", None)
    # pyspark's own exceptions: with an underscore from 4.0 on.
    message = getattr(problem, "_desc", None) or getattr(problem, "desc", None)
    stack = getattr(problem, "_stackTrace", None) or getattr(problem, "stackTrace", None)
    if origin is None and stack is None:
        return None
    if message is None:
        message = origin.getMessage() or origin.toString()
    own = (stack or str(problem)).split("\nCaused by:")[0].splitlines()
    frames = [line.strip()[len("at ") :] for line in own if line.startswith("\tat ")]
    return error("Error", message.strip(), frames or [type(problem).__name__])
