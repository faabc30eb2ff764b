"""How jobs are stored in Redis: pickled, or as JSON, which is data and runs nothing when it is read."""

from typing import Any

from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer, Serializer

from scheduler.config import current
from scheduler.errors import ArgumentError

# The function's name for a job that can't be read, or whose worker died before reading it.
UNKNOWN = "unknown"
# More of a trace is of no use, and every page that shows it loads it.
_MAX_TEXT = 100_000


class Json(JSONSerializer):
    """RQ's JSON serializer, which also copes with jobs queued with another serializer.

    RQ keeps the bytes of an unreadable meta in a dictionary, which JSON can't store: a scheduler that queues
    such a job, or a worker that retries it, would fail. Here the bytes are written back as they were.
    """

    @staticmethod
    def dumps(value: Any) -> bytes:
        """Write a value as JSON."""
        unread = value.get("unserialized") if isinstance(value, dict) else None
        return unread if isinstance(unread, bytes) else JSONSerializer.dumps(value)  # type: ignore[no-untyped-call]  # rq leaves it untyped


SERIALIZERS: dict[str, Serializer] = {"pickle": DefaultSerializer, "json": Json}


def configured() -> Serializer:
    """Return the serializer that `RQ_SERIALIZER` names."""
    return SERIALIZERS[current().serializer]


def check_text(name: str, text: object) -> None:
    """Refuse what is not a string, or a string that Redis can't store.

    Raises:
        ArgumentError: It is neither. A lone surrogate, as from `os.fsdecode` of invalid UTF-8, can't be
            stored.
    """
    if not isinstance(text, str):
        raise ArgumentError(f"{name} is {text!r:.200}: use a string")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(
            f"{name} is {text!r:.200}, which has a lone surrogate (half a character): use whole characters"
        ) from None


def function_name(job: Job) -> str:
    """Return the import path of a job's function; `UNKNOWN` if it can't be told."""
    try:
        return str(job.func_name)
    except Exception:  # noqa: BLE001  # its data can raise anything; RQ fails the job for it next
        return UNKNOWN


def storable(text: str) -> str:
    """Make a text storable in Redis: lone surrogates escaped, the middle of a huge text left out."""
    if len(text) > _MAX_TEXT:
        half, left_out = _MAX_TEXT // 2, len(text) - _MAX_TEXT
        text = f"{text[:half]}\n... {left_out} characters left out ...\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()
