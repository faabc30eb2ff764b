"""Turns snapshots into metric families; nothing is kept between scrapes."""

import functools
import math
from collections import Counter
from collections.abc import Iterator, Mapping

from rqmon import metrics as catalog
from rqmon.exporter.exposition import Family, labels
from rqmon.exporter.reading.registries import amount
from rqmon.exporter.reading.state import Snapshot
from rqmon.metrics import Metric
from scheduler.cron.entries import Outcome
from scheduler.ledger.jobs import Histogram, JobOutcome

_FROM_INFO: dict[Metric, str] = {
    catalog.RQ_REDIS_MEMORY_USED_BYTES: "used_memory",
    catalog.RQ_REDIS_MEMORY_MAX_BYTES: "maxmemory",
    catalog.RQ_REDIS_EVICTED_KEYS_TOTAL: "evicted_keys",
    catalog.RQ_REDIS_CONNECTED_CLIENTS: "connected_clients",
    catalog.RQ_REDIS_COMMANDS_PROCESSED_TOTAL: "total_commands_processed",
    catalog.RQ_REDIS_UPTIME_SECONDS: "uptime_in_seconds",
    catalog.RQ_REDIS_AOF_ENABLED: "aof_enabled",
    catalog.RQ_REDIS_LAST_SAVE_TIMESTAMP_SECONDS: "rdb_last_save_time",
}
# In the order in which _queues() takes them.
_OF_QUEUE = (
    catalog.RQ_JOBS_CANCELED,
    catalog.RQ_QUEUE_INTERMEDIATE_JOBS,
    catalog.RQ_QUEUE_OLDEST_JOB_AGE_SECONDS,
    catalog.RQ_QUEUE_WORKERS,
    catalog.RQ_QUEUE_SCHEDULED_OVERDUE_JOBS,
    catalog.RQ_QUEUE_SCHEDULED_DELAY_SECONDS,
)


class Families:
    """The families of one scrape, in the catalog's order, from any number of servers."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = tuple(float(f"{bound:g}") for bound in bounds)  # as the ledger writes them
        self._families: dict[str, Family] = {}

    def __iter__(self) -> Iterator[Family]:
        """Every family."""
        return iter(
            self._families[metric.name] for metric in catalog.METRICS if metric.name in self._families
        )

    def add(self, other: "Families") -> None:
        """Add every sample of the other."""
        for family in other:
            self._of(family.metric).lines += family.lines

    def server(
        self,
        base: Mapping[str, str],
        snapshot: Snapshot | None,
        *,
        seconds: float,
        refusal: str | None = None,
    ) -> None:
        """Add a server's samples under its `base` labels; without a snapshot, that it could not be read.

        `refusal` is the code with which it refused to be.
        """
        text = labels(base)
        before = f"{text}," if text else ""
        self._add(catalog.RQ_REDIS_UP, text, int(snapshot is not None))
        self._add(catalog.RQ_SCRAPE_DURATION_SECONDS, text, round(seconds, 6))
        refusing = snapshot.refusing if snapshot is not None else {refusal: True} if refusal else {}
        for code, refuses in refusing.items():
            self._add(catalog.RQ_REDIS_REFUSING, before + labels({"code": code}), int(refuses))
        if snapshot is not None:
            for what, number in snapshot.left_out.items():
                self._add(catalog.RQ_LEFT_OUT, before + labels({"what": what}), number)
            self._queues(before, text, snapshot)
            self._workers(before, text, snapshot)
            self._jobs(before, text, snapshot)
            self._cron(before, text, snapshot)
            self._redis(before, text, snapshot)

    def _add(self, metric: Metric, text: str, value: float) -> None:
        self._of(metric).add(text, value)

    def _of(self, metric: Metric) -> Family:
        family = self._families.get(metric.name)
        if family is None:
            family = self._families[metric.name] = Family(metric)
        return family

    def _queues(self, before: str, text: str, snapshot: Snapshot) -> None:
        listening = Counter(name for worker in snapshot.workers for name in set(worker.queues.split(",")))
        jobs = self._of(catalog.RQ_JOBS).lines
        canceled, between, oldest, workers, overdue, delay = (self._of(metric).lines for metric in _OF_QUEUE)
        for queue in snapshot.queues:
            where, canceled_of, between_of, oldest_of, workers_of, overdue_of, delay_of = _starts(
                before, queue.name
            )
            held = queue.jobs.copy()
            if (stopped := held.pop("canceled", None)) is not None:
                canceled.append(f"{canceled_of}{stopped}\n")
            if held:
                jobs.append(_jobs_lines(where, *held) % tuple(held.values()))
            if queue.intermediate is not None:
                between.append(f"{between_of}{queue.intermediate}\n")
            if queue.oldest_enqueued_at is not None:
                age = max(0.0, snapshot.taken_at - queue.oldest_enqueued_at)
                oldest.append(f"{oldest_of}{age:.3f}\n")
            elif held.get("queued") == 0:
                oldest.append(f"{oldest_of}0\n")
            workers.append(f"{workers_of}{listening[queue.name]}\n")
            if "scheduled" in held:
                overdue.append(f"{overdue_of}{queue.overdue}\n")
                delay.append(f"{delay_of}{queue.worst_delay_seconds:.3f}\n")
        self._add(catalog.RQ_SUSPENDED, text, int(snapshot.suspended))

    def _workers(self, before: str, text: str, snapshot: Snapshot) -> None:
        for worker in snapshot.workers:
            named = {"name": worker.name, "queues": worker.queues}
            # rq-exporter's order of labels.
            stated = {"name": worker.name, "state": worker.state, "queues": worker.queues}
            where = before + labels(named)
            self._add(catalog.RQ_WORKERS, before + labels(stated), 1)
            for metric, number in (
                (catalog.RQ_WORKERS_SUCCESS_TOTAL, worker.succeeded),
                (catalog.RQ_WORKERS_FAILED_TOTAL, worker.failed),
                (catalog.RQ_WORKERS_WORKING_TIME_TOTAL, worker.working_seconds),
            ):
                if number is not None:
                    self._add(metric, where, number)
        states = Counter({"busy": 0, "idle": 0, "started": 0, "suspended": 0})
        states.update(worker.state for worker in snapshot.workers)
        for state, workers in states.items():
            self._add(catalog.RQ_WORKERS_BY_STATE, before + labels({"state": state}), workers)
        beats = [worker.heartbeat for worker in snapshot.workers if worker.heartbeat is not None]
        if beats:
            age = max(0.0, snapshot.taken_at - min(beats))
            self._add(catalog.RQ_WORKER_HEARTBEAT_AGE_MAX_SECONDS, text, round(age, 3))

    def _jobs(self, before: str, text: str, snapshot: Snapshot) -> None:
        counts = snapshot.jobs
        # With zeros: increase() sees nothing of a series' first value.
        for queue, function in dict.fromkeys((queue, function) for queue, function, _ in counts.outcomes):
            for possible in JobOutcome:
                where = before + labels({"queue": queue, "function": function, "outcome": possible})
                number = counts.outcomes.get((queue, function, possible), 0)
                self._add(catalog.RQ_JOBS_PROCESSED_TOTAL, where, number)
        for queue in dict.fromkeys(queue for queue, _, _ in counts.outcomes):
            where = before + labels({"queue": queue})
            self._add(catalog.RQ_JOB_RETRIES_TOTAL, where, counts.retries.get(queue, 0))
            self._add(catalog.RQ_WORK_HORSES_KILLED_TOTAL, where, counts.horses_killed.get(queue, 0))
        for (queue, exception), number in counts.failures.items():
            where = before + labels({"queue": queue, "exception": exception})
            self._add(catalog.RQ_JOB_FAILURES_TOTAL, where, number)
        for metric, histograms in (
            (catalog.RQ_JOB_WAIT_SECONDS, counts.wait),
            (catalog.RQ_JOB_RUN_SECONDS, counts.run),
        ):
            for (queue, function), histogram in histograms.items():
                if not histogram.buckets:
                    continue  # they could not be read
                self._histogram(metric, before + labels({"queue": queue, "function": function}), histogram)
        for resource in dict.fromkeys(resource for resource, _ in snapshot.rate_limits):
            for outcome in ("admitted", "refused"):
                where = before + labels({"resource": resource, "outcome": outcome})
                number = snapshot.rate_limits.get((resource, outcome), 0)
                self._add(catalog.RQ_RATE_LIMIT_REQUESTS_TOTAL, where, number)
        self._add(catalog.RQ_JOBS_SAMPLED, text, snapshot.sampled)
        self._add(catalog.RQ_JOBS_UNACCOUNTED, text, snapshot.unaccounted)

    def _histogram(self, metric: Metric, where: str, histogram: Histogram) -> None:
        # Counted in other buckets before the settings were changed: those are shown too.
        bounds = sorted({*self._bounds, *histogram.buckets, math.inf})
        family, total, before = self._of(metric), 0, f"{where}," if where else ""
        for bound in bounds:
            total += histogram.buckets.get(bound, 0)
            le = "+Inf" if bound == math.inf else repr(bound)
            family.add(f'{before}le="{le}"', total, "_bucket")
        family.add(where, total, "_count")
        family.add(where, histogram.sum_seconds, "_sum")

    def _cron(self, before: str, text: str, snapshot: Snapshot) -> None:
        cron = snapshot.cron
        self._add(catalog.RQ_CRON_ENTRIES, text, cron.registered)
        self._add(catalog.RQ_CRON_PROCESSES, text, cron.processes)
        self._add(catalog.RQ_CRON_ENTRIES_PASSED_OVER, text, cron.passed_over)
        for id_, about in cron.entries.items():
            self._add(catalog.RQ_CRON_ENTRY_INFO, before + labels({"entry": id_, **about}), 1)
        for metric, times in (
            (catalog.RQ_CRON_NEXT_RUN_TIMESTAMP_SECONDS, cron.next),
            (catalog.RQ_CRON_LAST_RUN_TIMESTAMP_SECONDS, cron.last),
        ):
            for id_, when in times.items():
                self._add(metric, before + labels({"entry": id_}), when)
        # With zeros, as in _jobs: the first slot that is missed must be seen.
        for id_ in dict.fromkeys((*cron.entries, *cron.outcomes)):
            outcomes = cron.outcomes.get(id_, {})
            for outcome in Outcome:
                where = before + labels({"entry": id_, "outcome": outcome})
                self._add(catalog.RQ_CRON_SLOTS_TOTAL, where, outcomes.get(outcome, 0))
        self._histogram(catalog.RQ_CRON_LATENESS_SECONDS, text, cron.lateness)

    def _redis(self, before: str, text: str, snapshot: Snapshot) -> None:
        info = snapshot.info
        for metric, name in _FROM_INFO.items():
            if name in info:
                self._number(metric, text, info[name], of=name, snapshot=snapshot)
        for kind, name in (("rdb", "rdb_last_bgsave_status"), ("aof", "aof_last_write_status")):
            if name in info:
                where = before + labels({"kind": kind})
                self._add(catalog.RQ_REDIS_LAST_WRITE_OK, where, int(info[name] == "ok"))
        for name, value in info.items():
            if name.startswith("db") and value.startswith("keys="):
                keys, where = value.removeprefix("keys=").partition(",")[0], before + labels({"db": name[2:]})
                self._number(catalog.RQ_REDIS_KEYS, where, keys, of=name, snapshot=snapshot)

    def _number(self, metric: Metric, where: str, value: str, *, of: str, snapshot: Snapshot) -> None:
        try:
            self._add(metric, where, amount(value))
        except ValueError:
            snapshot.unreadable.append(f"info {of}")


@functools.lru_cache(maxsize=8192)
def _jobs_lines(where: str, *statuses: str) -> str:
    """A queue's lines, into which its numbers are put: the most there are on a page."""
    name = catalog.RQ_JOBS.name
    return "".join([f'{name}{{{where.replace("%", "%%")},status="{status}"}} %d\n' for status in statuses])


@functools.lru_cache(maxsize=8192)
def _starts(before: str, queue: str) -> tuple[str, ...]:
    """A queue's labels, and how its lines of _OF_QUEUE begin."""
    where = before + labels({"queue": queue})
    return where, *(f"{metric.name}{{{where}}} " for metric in _OF_QUEUE)
