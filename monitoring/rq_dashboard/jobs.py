"""Makes rq-dashboard read jobs as `RQ_SERIALIZER` says, and show what it can't read as that.

rq-dashboard 0.9 gives its serializer to some of the calls that read a job and forgets it in others, which
then unpickle, and answers 500 to a job that it can't read.
"""

import functools
from typing import Any

from redis import Redis
from rq import Worker
from rq.exceptions import DeserializationError
from rq.job import Job, requeue_job
from rq.serializers import Serializer
from rq_dashboard import web

_UNREADABLE = "This was written with another RQ_SERIALIZER."


class _Shown:
    """A serializer for pages: what can't be read is said, not raised."""

    def __init__(self, serializer: Serializer) -> None:
        self.dumps = serializer.dumps
        self._loads = serializer.loads

    def loads(self, data: bytes, /) -> Any:
        try:
            return self._loads(data)
        except Exception:  # noqa: BLE001  # reading can raise anything
            return _UNREADABLE


class _ShownJob(Job):
    """A job as the pages read it, with the pages' serializer whatever the caller gives."""

    def __init__(self, id: str, connection: Redis, serializer: object = None) -> None:  # noqa: A002, ARG002  # RQ's
        super().__init__(id, connection, web.config.serializer)

    def get_call_string(self) -> str | None:
        try:
            return super().get_call_string()
        except DeserializationError:
            return _UNREADABLE


class _ShownWorker(Worker):
    """A worker as the workers page reads it.

    RQ's own, even one that is only read, raises the socket timeout of its connection pool to minutes.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "job_class": _ShownJob})

    def _set_connection(self, connection: Redis) -> Redis:
        return connection


def read_with(serializer: Serializer) -> None:
    """Read jobs with this serializer on every page."""
    web.config.serializer = _Shown(serializer)
    web.Job = _ShownJob
    web.Worker = _ShownWorker
    # It writes the job back, so nothing may stand in for what can't be read.
    web.requeue_job = functools.partial(requeue_job, serializer=serializer)
