"""Turns whatever Redis holds into text for a page: of bounded length, and never an error."""

import contextlib
import json
import zlib
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any

from rq.results import Result
from rq.serializers import Serializer
from rq.utils import get_call_string, utcparse

# A browser shows this much at once, and an open page asks again every few seconds.
_MAX_LENGTH = 100_000
_MAX_ARGUMENT_LENGTH = 75  # as RQ cuts an argument in a description

_UNREADABLE = "This was written with another RQ_SERIALIZER."


def text(raw: bytes | str | None) -> str:
    """What Redis answered, as text, even if it is not UTF-8."""
    return bounded(raw.decode(errors="replace") if isinstance(raw, bytes) else raw or "")


def bounded(whole: str) -> str:
    """The start of a text, as much of it as a page shows."""
    left = len(whole) - _MAX_LENGTH
    return whole if left <= 0 else f"{whole[:_MAX_LENGTH]}... ({left:,} more characters)"


def as_json(value: Any, *, indent: int | None = None) -> str | None:
    """A value as JSON; None if JSON can't hold it or a page can't show all of it."""
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        whole = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
        return whole if len(whole) <= _MAX_LENGTH else None
    return None


def shown(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON, or where that can't be, as Python writes it."""
    whole = as_json(value, indent=indent)
    if whole is not None:
        return whole
    try:
        return bounded(repr(value))
    except Exception as error:  # noqa: BLE001  # a job's own class can raise anything
        return f"<{type(value).__name__}: its repr raises {type(error).__name__}>"


def loaded(raw: bytes, serializer: Serializer) -> Any:
    """What a serializer reads, or a sentence that says why it can't be read."""
    try:
        return serializer.loads(raw)
    except (ImportError, AttributeError) as error:  # a pickle of a class that is not installed here
        return f"This can't be read here: {error}."
    except Exception:  # noqa: BLE001  # reading can raise anything
        return _UNREADABLE


def call_string(data: bytes, serializer: Serializer, *, full: bool = False) -> str:
    """A job's function and arguments as a call; each argument is cut, unless all of it is asked for."""
    whole = loaded(inflated(data), serializer)
    try:
        function, _, args, kwargs = whole
        length = None if full else _MAX_ARGUMENT_LENGTH
        return bounded(get_call_string(function, args, kwargs, max_length=length) or "")
    except Exception:  # noqa: BLE001  # an argument's repr can raise anything
        return whole if isinstance(whole, str) else "This can't be shown as a call."


def inflated(data: bytes) -> bytes:
    """What RQ stores compressed, and older versions stored as it is."""
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data


def result(payload: dict[bytes, bytes], serializer: Serializer) -> Any:
    """What a job returned, out of its last result's fields; None if it did not succeed."""
    encoded = payload.get(b"return_value")
    if encoded is None or payload.get(b"type") != str(Result.Type.SUCCESSFUL.value).encode():
        return None
    try:
        return loaded(b64decode(encoded), serializer)
    except ValueError:
        return _UNREADABLE


def traceback(payload: dict[bytes, bytes]) -> str | None:
    """The traceback in a result's fields."""
    encoded = payload.get(b"exc_string")
    if not encoded:
        return None
    try:
        return text(zlib.decompress(b64decode(encoded)))
    except (zlib.error, ValueError):
        return "This traceback can't be read."


def date(raw: bytes | None) -> str | None:
    """A date as the pages' scripts read it; None if there is none, or it can't be read."""
    moment = moment_of(raw)
    return moment.isoformat() if moment else None


def moment_of(raw: bytes | None) -> datetime | None:
    """A date as RQ writes it, parsed."""
    try:
        return utcparse(raw.decode()).astimezone(UTC) if raw else None
    except (ValueError, OverflowError):
        return None
