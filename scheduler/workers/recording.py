"""The recording worker's mixin: counts each execution in the transaction in which RQ ends it."""

import functools
import mmap
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from redis.client import Pipeline
from redis.exceptions import RedisError
from rq import Queue, Retry
from rq.job import Job

from scheduler.jobs import DUE_AT
from scheduler.ledger import jobs as ledger
from scheduler.ledger.jobs import JobOutcome
from scheduler.serializers import UNKNOWN, function_name, storable
from scheduler.workers import abandoned
from scheduler.workers.configured import Configured
from scheduler.workers.outcomes import label, of_failure, wait_seconds
from scheduler.workers.persistence import (
    START_PATIENCE_SECONDS,
    GivenUpError,
    NotWritten,
    dependents_enqueued,
    insist,
    may_begin,
    passes,
    send_once,
    statuses_in_transactions,
)


class Recording(Configured):
    """Record every execution in `scheduler.ledger.jobs`, with one additional round trip.

    The recording is added in those methods of RQ that are passed a transaction. The transactions that begin
    and end an execution are rebuilt and repeated until Redis has accepted them. Once the end is written, the
    execution's note is gone.
    """

    _addition: Callable[[Pipeline], None] | None = None  # for the next transaction that RQ passes
    _outcome = JobOutcome.ABANDONED
    _runs_again = False
    _exception: type[BaseException] | None = None
    _horse_killed = False  # to be counted with the execution
    _written = False  # whether Redis has confirmed the transaction that ends the execution
    _forks = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._function_began = mmap.mmap(-1, 1)  # a flag, shared with the process that runs a job

    def serialize(self) -> dict[str, Any]:
        """Return what Redis stores of this worker; RQ leaves some of it out when it registers it again."""
        fields = {**super().serialize(), "state": self.get_state()}
        if execution := vars(self).get("execution"):  # rq 3 asks Redis for it
            fields["current_job"] = execution.job_id
        return fields

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run a job, then forget its execution, which RQ keeps in a worker that forks."""
        self._function_began[0] = False
        try:
            super().execute_job(job, queue)
        except GivenUpError:  # whoever gave it up has counted it
            self.log.warning("Worker %s: job %s was given up before it began", self.name, job.id)
        finally:
            self.execution, self._horse_killed = None, False

    def prepare_execution(self, job: Job) -> Any:
        """Begin an execution, unless the job was given up while Redis was away.

        Raises:
            GivenUpError: It was given up; it may be queued, or run elsewhere.
        """
        # Loading a job's data may do anything to the process, so only the one that runs the job loads it.
        details = {} if self._forks else self._details(job)
        earlier: list[Any] = []  # from tries that Redis may have executed, though the answer was lost

        def note(pipe: Pipeline) -> None:
            send_once(pipe, lambda: None)  # redis-py would send it again without checking
            for execution in earlier:
                execution.delete(job=job, pipeline=pipe)
                ledger.forget(pipe, execution.composite_key)
            if execution := self._execution(job):  # RQ makes it just before it passes the pipeline
                earlier.append(execution)
                ledger.note_start(pipe, execution.composite_key, queue=job.origin, details=details)

        prepare = super().prepare_execution

        def step(again: bool) -> Any:
            if again and not may_begin(job):
                raise GivenUpError
            self.execution, self._addition = None, note
            return prepare(job)

        patience, stopping = START_PATIENCE_SECONDS, lambda: self._stop_requested
        return insist(self.connection, step, patience=patience, stopping=stopping)

    def perform_job(self, job: Job, *args: Any) -> bool:
        """Run a job; an error after its end is written, such as in logging its result, fails nothing."""
        self._written = False
        noting: Any = job
        noting._on_begin = functools.partial(self._function_began.__setitem__, 0, True)
        try:
            return super().perform_job(job, *args)
        except Exception:
            if not self._written:
                raise
            self.log.exception("Worker %s: what follows the end of job %s failed", self.name, job.id)
            return True

    def prepare_job_execution(self, job: Job, *args: Any, **kwargs: Any) -> None:
        """Prepare the job in the process that runs it."""
        self._exception = None
        begun = self._execution(job)
        details = self._details(job) if begun and self._forks else None
        prepare = functools.partial(super().prepare_job_execution, job, *args, **kwargs)
        on_its_way = Queue(job.origin, connection=self.connection).intermediate_queue

        def begin(pipe: Pipeline) -> None:
            # Otherwise RQ, which keeps this for a day, would give the job up at once when it is on its way
            # again.
            pipe.delete(on_its_way.get_first_seen_key(job.id))
            if details:
                ledger.note_details(pipe, begun.composite_key, details)

        def step(again: bool) -> None:
            if again and begun and not ledger.is_running(begun, queue=job.origin):
                raise GivenUpError
            self._addition = begin
            prepare()

        insist(self.connection, step)

    def set_state(self, state: str, pipeline: Pipeline | None = None) -> None:
        """Set the worker's state; in a transaction, make the pending addition."""
        super().set_state(state, pipeline)
        self._add(pipeline)

    def heartbeat(self, timeout: int | None = None, pipeline: Pipeline | None = None) -> None:
        """Write the worker's heartbeat; in a transaction, make the pending addition."""
        super().heartbeat(timeout, pipeline)
        self._add(pipeline)

    def handle_exception(self, job: Job, *exc_info: Any) -> None:
        """Handle what a job raised."""
        self._exception = exc_info[0]
        super().handle_exception(job, *exc_info)

    def handle_execution_ended(self, job: Job, *args: Any) -> None:
        """Note when a job ended and write its heartbeat; if Redis is away, the end is written later."""
        try:
            super().handle_execution_ended(job, *args)
        except RedisError as error:
            if not passes(error):
                raise

    def handle_job_success(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> None:
        """End an execution that returned."""
        self._outcome, self._runs_again = JobOutcome.SUCCEEDED, False
        self._end(job, queue, super().handle_job_success, *args, **kwargs)

    def handle_job_retry(self, job: Job, queue: Queue, retry: Retry, *args: Any, **kwargs: Any) -> None:
        """End an execution that returned a Retry."""
        exhausted = job.number_of_retries is not None and job.number_of_retries >= max(1, retry.max)
        self._outcome = JobOutcome.FAILED if exhausted else JobOutcome.RETRIED
        self._runs_again = not exhausted
        if self._runs_again and (interval := Retry.get_interval(job.number_of_retries or 0, retry.intervals)):
            job.meta[DUE_AT] = datetime.now(UTC).timestamp() + interval
        self._end(job, queue, super().handle_job_retry, retry, *args, **kwargs)

    def handle_job_failure(self, job: Job, queue: Queue, *args: Any, **kwargs: Any) -> None:
        """End an execution that raised, was stopped, or whose process died."""
        self._outcome = of_failure(job, self._exception, is_stopped=self._stopped_job_id == job.id)
        self._runs_again = job.should_retry and self._outcome is not JobOutcome.STOPPED
        if self._runs_again and (interval := job.get_retry_interval()):
            job.meta[DUE_AT] = datetime.now(UTC).timestamp() + interval
        if "exc_string" in kwargs:  # RQ always passes it by name
            kwargs["exc_string"] = storable(kwargs["exc_string"])
        self._end(job, queue, super().handle_job_failure, *args, **kwargs)

    def handle_work_horse_killed(self, job: Job, *args: Any) -> None:
        """Handle a work horse that died."""
        self._horse_killed = True
        super().handle_work_horse_killed(job, *args)  # type: ignore[no-untyped-call]  # rq leaves it untyped

    def cleanup_execution(self, job: Job, pipeline: Pipeline, execution: Any = None) -> None:
        """Remove an execution from RQ's registries, and count it."""
        ended = self._execution(job, execution)
        if self._horse_killed:
            ledger.count_horse_killed(pipeline, queue=job.origin)
        if ended is None:
            ledger.count_unstarted(pipeline, job.id, queue=job.origin)
        else:
            began = not self._in_horse_s_stead or self._function_began[0]
            if not began:
                ledger.note_details(pipeline, ended.composite_key, {"function": UNKNOWN})
            ledger.count_end(
                pipeline,
                ended.composite_key,
                self._outcome,
                run_seconds=self._run_seconds(job, ended) if began else None,
                bounds=self.settings.job_buckets_seconds,
                exception=label(self._outcome, self._exception),
                runs_again=self._runs_again,
            )
            send_once(pipeline, lambda: setattr(self, "_written", True))
        super().cleanup_execution(job, pipeline, *([execution] if execution else []))

    def clean_registries(self) -> None:
        """Do RQ's maintenance; then count what other processes gave up on."""
        for queue in self.queues:
            abandoned.clean(self, queue)
        ledger.reap(self.connection)
        self.last_cleaned_at = datetime.now(UTC)  # type: ignore[assignment]  # rq leaves it untyped

    def _end(self, job: Job, queue: Queue, end: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        """Make RQ end an execution, repeating all of it until its end is written.

        An end that is already written, or another worker's giving up, is left as it is.
        """
        job.description = job.description and storable(job.description)  # a job may set its own description
        execution = self._execution(job, kwargs.get("execution"))
        if execution is None:
            end(job, queue, *args, **kwargs)  # the execution never began
            return
        stopped = self._stopped_job_id
        with statuses_in_transactions(job), dependents_enqueued(queue, self.connection):
            before = dict(vars(job))

            def step(_again: bool) -> None:
                # Checked on the first try too. A horse may have written the end and died before it could exit
                # normally; and whoever finds that a worker died gives up a job that its horse still runs.
                if not ledger.is_running(execution, queue=job.origin):
                    self.log.warning("Worker %s: job %s ended or was given up before", self.name, job.id)
                    return
                self._written = False
                try:
                    end(job, queue, *args, **kwargs)
                except (Exception, NotWritten):
                    if not self._written:
                        vars(job).update(before)
                        self.execution, self._stopped_job_id = execution, stopped
                        raise
                    self.log.exception("Worker %s: what follows the end of job %s failed", self.name, job.id)

            insist(self.connection, step, stopping=lambda: self._in_horse_s_stead and self._stop_requested)

    def _details(self, job: Job) -> dict[str, str]:
        bounds = self.settings.job_buckets_seconds
        return ledger.details(function=function_name(job), wait_seconds=wait_seconds(job), bounds=bounds)

    @property
    def _in_horse_s_stead(self) -> bool:
        return self._forks and not self.is_horse

    def _run_seconds(self, job: Job, execution: Any) -> float | None:
        if self._in_horse_s_stead:
            # The job was stopped or killed in the work horse, which told this process nothing.
            return float((datetime.now(UTC) - execution.created_at).total_seconds())
        if job.started_at is None or job.ended_at is None:
            return None
        return max(0.0, (job.ended_at - job.started_at).total_seconds())

    def _add(self, pipeline: Pipeline | None) -> None:
        if pipeline is not None and self._addition is not None:
            addition, self._addition = self._addition, None
            addition(pipeline)

    def _execution(self, job: Job, execution: Any = None) -> Any:
        """Return the job's execution in this worker; None if it never started."""
        # rq 3 keeps several and passes the one that ends; rq 2 keeps the last one.
        known = getattr(self, "executions", None)
        candidates = [execution] if execution else [self.execution] if known is None else list(known.values())
        return next((e for e in candidates if e is not None and e.job_id == job.id), None)
