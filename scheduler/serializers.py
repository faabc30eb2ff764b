"""How a job stands in Redis: pickled, or as JSON, which is data and runs nothing when it is read."""

from typing import Any

from rq.job import Job
from rq.serializers import DefaultSerializer, JSONSerializer, Serializer

from scheduler.config import current
from scheduler.errors import ArgumentError

# The function of a job that can't be read, or whose worker died before it could read it.
UNKNOWN = "unknown"
# Of a trace more is of no use, and each page that shows it loads it.
_MAX_TEXT = 100_000


class Json(JSONSerializer):
    """RQ's JSON, for jobs that were queued with another serializer too.

    RQ keeps the bytes of a meta that it can't read in a dictionary, which JSON can't hold: a scheduler that
    queues such a job, or a worker that retries it, would fail. They are written back as they were.
    """

    @staticmethod
    def dumps(value: Any) -> bytes:
        """A value as JSON."""
        unread = value.get("unserialized") if isinstance(value, dict) else None
        return unread if isinstance(unread, bytes) else JSONSerializer.dumps(value)  # type: ignore[no-untyped-call]  # rq leaves it untyped


SERIALIZERS: dict[str, Serializer] = {"pickle": DefaultSerializer, "json": Json}


def configured() -> Serializer:
    """The serializer that `RQ_SERIALIZER` names."""
    return SERIALIZERS[current().serializer]


def check_text(name: str, text: object) -> None:
    """Refuse what is no text, or one that Redis can't hold.

    Raises:
        ArgumentError: It has half a surrogate, as `os.fsdecode` makes of what is no UTF-8.
    """
    if not isinstance(text, str):
        raise ArgumentError(f"{name} is {text!r:.200}: use a text")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ArgumentError(
            f"{name} is {text!r:.200}, which has half a character (a lone surrogate): use whole ones"
        ) from None


def function_name(job: Job) -> str:
    """The import path of a job's function; `UNKNOWN` where it can't be told."""
    try:
        return str(job.func_name)
    except Exception:  # noqa: BLE001  # what it is made of can raise anything; RQ fails the job for it next
        return UNKNOWN


def storable(text: str) -> str:
    """A text as Redis can hold it: half a surrogate as its escape; the middle of a huge one left out."""
    if len(text) > _MAX_TEXT:
        half, left_out = _MAX_TEXT // 2, len(text) - _MAX_TEXT
        text = f"{text[:half]}\n... {left_out} characters left out ...\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()
