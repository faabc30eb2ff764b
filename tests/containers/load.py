"""A steady load on a stack, and the fate of each of its jobs and cron slots."""

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.job import Job

from scheduler import job_scheduler
from scheduler.ledger.cron import SlotRecord, cron_history, cron_outcomes
from tests.servers import wait_for

QUEUES = ("short-running", "long-running")
CRON_ID, CRON_FUNCTION = "every-second", "rqmon.demo.jobs.queue_health_check"
_INTERVAL_SECONDS = 0.2
_KEPT_SECONDS = 3600


@dataclass
class Fault:
    """A row of the fault table."""

    name: str
    healthy_after_seconds: float
    jobs: list[str] = field(default_factory=list)
    fates: Counter[str] = field(default_factory=Counter)
    slots: int = 0
    doubled: int = 0


class Load:
    """Queues five short jobs a second, and one more each second by a cron that catches up.

    A job counts as accepted when Redis said so. If Redis did not answer, the job may be there or not.
    """

    def __init__(self, url: str) -> None:
        self.redis = Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
        )
        self.accepted: list[str] = []
        self.faults: list[Fault] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Load":
        job_scheduler(CRON_FUNCTION, interval_seconds=1, cron_id=CRON_ID, catch_up="all", max_retries=None)
        self._since = int(time.time())
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        self.redis.close()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def runs_a_job(self, queue: str) -> bool:
        """Whether a job queued now ends within five seconds."""
        try:
            job = Queue(queue, connection=self.redis).enqueue("rqmon.demo.jobs.work_for", 0)
            wait_for(lambda: job.get_status(refresh=True) == "finished", seconds=5)
        except (RedisError, AssertionError):
            return False
        return True

    def fates(self, ids: list[str]) -> Counter[str]:
        """Count these jobs by status; a job that is nowhere is "lost"."""
        jobs = Job.fetch_many(ids, connection=self.redis)
        return Counter(job.get_status(refresh=False).value if job else "lost" for job in jobs)

    def due(self) -> int:
        """Return how many slots there have been."""
        return int(time.time()) - self._since

    def outcomes(self) -> Counter[str]:
        """Count the slots by outcome."""
        return Counter(cron_outcomes(self.redis).get(CRON_ID, {}))

    def doubled(self) -> int:
        """Return how many of the last hundred slots were counted twice."""
        history = self._history()
        return len(history) - len({record.slot for record in history})

    def jobs_of_slots(self) -> list[str]:
        """Return the jobs of the last hundred slots."""
        return [record.job_id or "" for record in self._history()]

    def _history(self) -> list[SlotRecord]:
        return cron_history(self.redis, [CRON_ID], last=100)[CRON_ID]

    def _run(self) -> None:
        queue = Queue("short-running", connection=self.redis)
        while not self._stopped.wait(_INTERVAL_SECONDS):
            id_ = uuid.uuid4().hex
            try:
                queue.enqueue(
                    "rqmon.demo.jobs.work_for",
                    0.05,
                    job_id=id_,
                    result_ttl=_KEPT_SECONDS,
                    failure_ttl=_KEPT_SECONDS,
                )
            except RedisError:
                continue
            self.accepted.append(id_)
