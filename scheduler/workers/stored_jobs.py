"""Jobs as workers run them, whoever queued them: neither odd values nor Redis make them fail."""

import functools
from collections.abc import Callable
from typing import Any

from redis.exceptions import RedisError
from rq.exceptions import NoSuchJobError
from rq.job import Job, JobStatus

from scheduler.durations import CENTURY_SECONDS, is_number
from scheduler.workers.persistence import insist

# RQ iterates over these as lists, though it reads any JSON.
_LISTS: dict[str, Callable[[Any], bool]] = {
    "dependency_ids": lambda one: isinstance(one, str),
    "retry_intervals": lambda _: True,
    "repeat_intervals": is_number,
}


class _Bounded(Job):
    """A job that RQ can read, retry and keep, whatever its hash contains.

    RQ accepts any number of seconds. With 10**12 for a retry it raises when the job has failed; that would
    end the worker, and then each worker that cleans up. Redis refuses such a `result_ttl` after it has done
    the rest. A field that RQ can't read would end every worker that takes the job, and the job would stay
    where it is.
    """

    _on_begin: Callable[[], None] | None = None  # called just before the job's function

    def restore(self, raw_data: Any) -> Any:
        """Read the job, without the fields that can't be read.

        It gets no retries whose time never comes, and no longer lifetime than Redis can store.
        """
        try:
            restored = self._read(raw_data)
        except NoSuchJobError:
            raise
        except Exception:  # noqa: BLE001  # RQ may raise anything, even AssertionError
            restored = self._read(self._readable(raw_data))
        intervals = self.retry_intervals or []
        if not all(is_number(seconds) and 0 <= seconds <= CENTURY_SECONDS for seconds in intervals):
            self.log.error("Job %s is not retried: its retry_intervals are %r", self.id, intervals)
            self.retries_left = self.retry_intervals = None
        if not intervals:
            self.retry_intervals = None  # RQ takes the last item even of an empty list
        if self.result_ttl is not None and self.result_ttl > CENTURY_SECONDS:
            self.result_ttl = CENTURY_SECONDS
        return restored

    def _read(self, raw_data: Any) -> Any:
        restored = super().restore(raw_data)
        for name, is_one in _LISTS.items():
            value = getattr(self, "_dependency_ids" if name == "dependency_ids" else name)
            if value is not None and not (isinstance(value, list) and all(map(is_one, value))):
                raise TypeError(f"{name} is {value!r:.200}")
        return restored

    def _readable(self, raw_data: dict[Any, Any]) -> dict[Any, Any]:
        """Return the fields that can be read, each tried by itself; the others are logged."""
        data = {key: value for key, value in raw_data.items() if key in (b"data", "data")}
        readable = dict(data)
        for key, value in raw_data.items():
            self.retry_intervals = self.repeat_intervals = None  # RQ does not set them if there are none
            try:
                self._read({**data, key: value})
            except Exception as error:  # noqa: BLE001
                self.log.error("Job %s has no %r that can be read: %s", self.id, key, error)
            else:
                readable[key] = value
        self.retry_intervals = self.repeat_intervals = None
        return readable

    def get_status(self, refresh: bool = True) -> JobStatus:
        """Return the job's status; the last one read if Redis has none that RQ knows."""
        try:
            return super().get_status(refresh)
        except ValueError:
            return self._status

    @property
    def stopped_callback(self) -> Any:
        """Return the function to call when the job was stopped, if it can be loaded.

        It runs in the worker itself, and must not end it: the job would run again.
        """
        try:
            callback: Any = super().stopped_callback
        except Exception:  # its module may raise anything
            self.log.exception("Job %s: its on_stopped can't be loaded", self.id)
            return None

        def contained(*args: Any) -> None:
            try:
                callback(*args)
            except (Exception, SystemExit):
                self.log.exception("Job %s: its on_stopped failed", self.id)

        return callback and contained

    def perform(self) -> Any:
        """Run the function. A Redis failure just before, at rq 2's PERSIST, does not fail the job."""
        self._began = False
        raised: list[RedisError] = []

        def step(_again: bool) -> Any:
            try:
                return super(_Bounded, self).perform()
            except RedisError as error:
                if not self._began:
                    raise
                raised.append(error)  # the function's own error

        result = insist(self.connection, step)
        if raised:
            raise raised[0]
        return result

    def _execute(self) -> Any:
        self._began = True
        _ = self.func, self.args  # imported and loaded first, while the function has not begun
        if self._on_begin is not None:
            self._on_begin()
        return super()._execute()


@functools.cache
def bounded(job_class: type[Job]) -> type[Job]:
    """Return a job class whose numbers RQ can work with."""
    return type(job_class.__name__, (_Bounded, job_class), {})
