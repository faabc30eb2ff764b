"""Jobs as they are stored in Redis, whoever queued them: an impossible number affects only its own job."""

import functools
from typing import Any

from rq.job import Job

from scheduler.durations import CENTURY_SECONDS, is_number


class _Bounded(Job):
    """A job that RQ can retry and keep.

    RQ takes any number of seconds. With 10**12 for a retry it raises once the job failed, which would end its
    worker, and after it each that cleans up; Redis refuses such a `result_ttl` after it has done the rest.
    """

    def restore(self, raw_data: Any) -> Any:
        """Read the job: without retries where their time never comes, and kept for no longer than can be."""
        restored = super().restore(raw_data)
        intervals = self.retry_intervals or []
        if not all(is_number(seconds) and 0 <= seconds <= CENTURY_SECONDS for seconds in intervals):
            self.log.error("Job %s is not retried: its retry_intervals are %r", self.id, intervals)
            self.retries_left = self.retry_intervals = None
        if self.result_ttl is not None and self.result_ttl > CENTURY_SECONDS:
            self.result_ttl = CENTURY_SECONDS
        return restored


@functools.cache
def bounded(job_class: type[Job]) -> type[Job]:
    """A class of jobs whose numbers RQ can work with."""
    return type(job_class.__name__, (_Bounded, job_class), {})
