"""Structured logs: one JSON object per line, with the job's id and correlation id on every line."""

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import structlog
from rq.job import Job
from structlog.typing import EventDict, Processor

from scheduler.serializers import function_name

CORRELATION_ID = "correlation_id"


def configure(level: str = "INFO") -> None:
    """Write everything this process logs, including RQ's lines, to standard error as JSON.

    Only for entry points; a library never calls it.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            # This package logs through the standard library, as RQ does: unless configured, structlog would
            # print to the terminal of whoever uses a library.
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), _without_arguments],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)


def _without_arguments(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Remove the arguments from RQ's line about a job that raised: they may be secrets."""
    if str(event["logger"]).startswith("rq."):
        event.pop("arguments", None)
        event.pop("kwargs", None)
    return event


def current_correlation_id() -> str:
    """Return the correlation id bound to this context, for a job to carry on; a new one if none is bound."""
    bound = structlog.contextvars.get_contextvars().get(CORRELATION_ID)
    return str(bound) if bound else uuid4().hex


@contextlib.contextmanager
def job_context(job: Job) -> Iterator[None]:
    """Bind a job's id, correlation id, queue and function to every line logged inside."""
    with structlog.contextvars.bound_contextvars(
        job_id=job.id,
        correlation_id=job.meta.get(CORRELATION_ID, job.id),
        queue=job.origin,
        function=function_name(job),
    ):
        yield
