"""What RQ keeps of an exception, as the few words that say what it was."""

import base64
import re
import zlib
from collections.abc import Mapping
from typing import Any

# A text of a few kilobytes can be packed so that it unpacks to gigabytes.
_MOST_BYTES = 1 << 23
_TRACE = "Traceback (most recent call last):"
_CLASS = re.compile(r"[A-Za-z_][\w.]*")
# What RQ writes where no exception was raised, and what it is called here.
_WITHOUT_EXCEPTION = {
    "Work-horse terminated unexpectedly": "killed",
    "Job stopped by user": "stopped",
    "Job was stuck in intermediate queue": "lost before its start",
}
_ABANDONED = re.compile(r"Moved to FailedJobRegistry, due to (\w+)")


def stored_exception(result: Mapping[bytes, bytes] | None, exc_info: bytes | None) -> str:
    """The text of an exception, from a job's latest result or its own field; empty where there is none."""
    packed = (result or {}).get(b"exc_string")
    try:
        raw = base64.b64decode(packed, validate=True) if packed else exc_info or b""
        text = zlib.decompressobj().decompress(raw, _MOST_BYTES)
    except ValueError:
        return ""
    except zlib.error:  # older versions of RQ do not pack it
        text = raw
    return text.decode(errors="backslashreplace")


def last_line(exception: str) -> str:
    """The line that says what was raised: `ValueError: spanner`."""
    lines = [line for line in exception.rpartition(_TRACE)[2].splitlines() if line.strip()]
    raised = [line for line in lines if not line[0].isspace()]
    return (raised or lines or [""])[0].strip()


def class_of(exception: str) -> str:
    """The exception's class, or what happened where none was raised; `unknown` where that can't be told."""
    line = last_line(exception)
    for text, name in _WITHOUT_EXCEPTION.items():
        if line.startswith(text):
            return name
    if abandoned := _ABANDONED.match(line):
        return abandoned[1]
    found = _CLASS.match(line)
    return found[0].rpartition(".")[2] if found and line[found.end() :][:1] in ("", ":") else "unknown"


def compressed_start(data: Any) -> bytes:
    """The first byte of a job's data, which RQ compresses; nothing is unpickled."""
    try:
        return zlib.decompressobj().decompress(data, 1)
    except zlib.error:
        return bytes(data[:1])
