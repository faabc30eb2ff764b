"""The demo: a seeded mix of jobs, and cron entries while it lasts."""

import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

from redis.exceptions import RedisError

from rqmon.demo import jobs
from rqmon.resources import command_line
from rqmon.terminal import say
from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE, Scheduler, job_scheduler
from scheduler.cron.store.registry import CronRegistry
from scheduler.errors import CronError
from scheduler.queues import shared_connection

# kind of job -> its weight, and how it is queued
_KINDS: dict[str, tuple[int, Callable[[random.Random], object]]] = {
    "fast": (40, lambda rng: job_scheduler(jobs.work_for, (rng.uniform(0.005, 0.2),))),
    "slow": (
        12,
        lambda rng: job_scheduler(jobs.work_for, (rng.uniform(1, 4),), queue_name=LONG_RUNNING_QUEUE),
    ),
    "failing": (8, lambda _rng: job_scheduler(jobs.fail, max_retries=None)),
    "retrying": (12, lambda _rng: job_scheduler(jobs.fail_once, retry_intervals=[5, 10, 20])),
    "scheduled": (
        12,
        lambda rng: job_scheduler(jobs.work_for, (0.05,), time_delta=timedelta(seconds=rng.uniform(10, 60))),
    ),
    "rate-limited": (16, lambda _rng: job_scheduler(jobs.call_third_party, retry_backoff=10)),
}
# id -> queue, seconds between slots, and seconds that a job takes. The second entry's jobs take longer than
# the interval, so that some of its slots are skipped.
_CRONS = {
    "demo-often": (SHORT_RUNNING_QUEUE, 10, 0.05),
    "demo-overlapping": (LONG_RUNNING_QUEUE, 5, 8),
}


class Mix:
    """Queues the jobs of one demo.

    Args:
        seed: The same seed gives the same jobs.

    Attributes:
        made: How many jobs of each kind were queued.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)  # noqa: S311 (a demo, nothing secret)
        self.made = dict.fromkeys(_KINDS, 0)

    def queue_one_second(self) -> None:
        """Queue one second's jobs: mostly a few, now and then a burst that keeps a worker busy."""
        weights = [weight for weight, _ in _KINDS.values()]
        for kind in self._rng.choices(list(_KINDS), weights, k=self._rng.choice((1, 2, 3, 4, 5, 30))):
            _KINDS[kind][1](self._rng)
            self.made[kind] += 1


@contextmanager
def demo_crons() -> Iterator[Callable[[], None]]:
    """Register entries with slots every few seconds, and remove them when the block ends, even by a signal.

    The block calls what it is given every second: where Python happens to be in a destructor, the exception
    that a signal raises is lost.
    """
    registered: list[str] = []
    told: list[int] = []

    def leave_if_told() -> None:
        if told:
            sys.exit(128 + told[0])

    def stop(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        leave_if_told()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Scheduler(connection=shared_connection()) as scheduler:
            for cron_id, (queue, interval_seconds, run_seconds) in _CRONS.items():
                registered.append(cron_id)  # before it is, as a signal may come in between
                try:
                    scheduler.cron(
                        queue,
                        None,
                        jobs.work_for,
                        (run_seconds,),
                        interval_seconds=interval_seconds,
                        cron_id=cron_id,
                        overlap="skip",
                    )
                except RedisError:
                    registered.pop()
                    raise
        yield leave_if_told
    finally:
        registry = CronRegistry(shared_connection())
        for cron_id in registered:
            try:
                registry.remove(cron_id)
            except CronError:  # somebody removed it
                pass
            except RedisError:
                say(
                    f"The demo's {cron_id} is still registered: once Redis answers, remove it "
                    f"with {command_line(f'cron remove {cron_id}')}",
                    err=True,
                )
        for number, handler in before.items():
            signal.signal(number, handler)
