"""Turns a snapshot into metric families. Reads only the snapshot, and keeps no state."""

import functools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain

from rqmon import metrics as catalog
from rqmon.exporter.exposition import Family, labels, sample
from rqmon.exporter.reading.snapshot import Snapshot
from rqmon.metrics import Metric
from rqmon.states import CRON_OUTCOMES, JOB_OUTCOMES, RATE_LIMIT_OUTCOMES, WORKER_STATES
from scheduler.ledger.reading import Histogram

# In the order in which _queues() unpacks them.
_OF_QUEUE = (
    catalog.RQ_JOBS_CANCELED,
    catalog.RQ_QUEUE_INTERMEDIATE_JOBS,
    catalog.RQ_QUEUE_OLDEST_JOB_AGE_SECONDS,
    catalog.RQ_QUEUE_WORKERS,
    catalog.RQ_QUEUE_SCHEDULED_OVERDUE_JOBS,
    catalog.RQ_QUEUE_SCHEDULED_DELAY_SECONDS,
    catalog.RQ_QUEUE_LONGEST_RUNNING_JOB_SECONDS,
    catalog.RQ_QUEUE_OLDEST_DEFERRED_JOB_AGE_SECONDS,
)
_UNKNOWN = "?"


def collect(
    snapshot: Snapshot | None,
    *,
    base: Mapping[str, str],
    bounds: tuple[float, ...],
    seconds: float,
    refusal: str | None = None,
) -> list[Family]:
    """Return the families of one server, in the catalog's order.

    Args:
        snapshot: The server's; None if it could not be read.
        base: Labels of every sample.
        bounds: Upper bounds of the histogram buckets that are always shown.
        seconds: How long it took to read the server.
        refusal: The code with which the server refused to be read.
    """
    text = labels(base)
    before = f"{text}," if text else ""
    page = _Page(bounds)
    page.add(catalog.RQ_REDIS_UP, text, int(snapshot is not None))
    page.add(catalog.RQ_SCRAPE_DURATION_SECONDS, text, round(seconds, 6))
    refusing = snapshot.refusing if snapshot is not None else {refusal: True} if refusal else {}
    for code, refuses in refusing.items():
        page.add(catalog.RQ_REDIS_REFUSING, before + labels({"code": code}), int(refuses))
    if snapshot is not None:
        for what, number in snapshot.left_out.items():
            page.add(catalog.RQ_LEFT_OUT, before + labels({"what": what}), number)
        for part in (_queues, _workers, _jobs, _rate_limits, _cron, _redis):
            part(page, before, text, snapshot)
    return _families(page.lines)


def joined(servers: Iterable[list[Family]]) -> list[Family]:
    """Merge the families of several servers, each once."""
    lines = defaultdict[str, list[str]](list)
    for family in chain.from_iterable(servers):
        lines[family.metric.name] += family.lines
    return _families(lines)


def _families(lines: Mapping[str, list[str]]) -> list[Family]:
    return [Family(metric, tuple(lines[metric.name])) for metric in catalog.METRICS if metric.name in lines]


class _Page:
    """Lines by metric name, while they are being written."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.lines = defaultdict[str, list[str]](list)
        self._bounds = tuple(float(f"{bound:g}") for bound in bounds)  # as the ledger writes them

    def add(self, metric: Metric, text: str, value: float) -> None:
        """Add the sample with these labels."""
        self.lines[metric.name].append(sample(metric.name, text, value))

    def add_histogram(self, metric: Metric, where: str, histogram: Histogram) -> None:
        """Add the histogram's buckets, count and sum."""
        # Buckets that were counted before the settings were changed are shown too.
        bounds = sorted({*self._bounds, *histogram.buckets, math.inf})
        name, lines, total = metric.name, self.lines[metric.name], 0
        before = f"{where}," if where else ""
        for bound in bounds:
            total += histogram.buckets.get(bound, 0)
            le = "+Inf" if bound == math.inf else repr(bound)
            lines.append(sample(f"{name}_bucket", f'{before}le="{le}"', total))
        lines.append(sample(f"{name}_count", where, total))
        lines.append(sample(f"{name}_sum", where, histogram.sum_seconds))


def _queues(page: _Page, before: str, text: str, snapshot: Snapshot) -> None:
    listening = Counter(name for worker in snapshot.workers for name in set(worker.queues.split(",")))
    jobs = page.lines[catalog.RQ_JOBS.name]
    canceled, between, oldest, workers, overdue, delay, longest, deferred = (
        page.lines[metric.name] for metric in _OF_QUEUE
    )
    for queue in snapshot.queues:
        (
            where,
            *(canceled_of, between_of, oldest_of, workers_of, overdue_of, delay_of, longest_of, deferred_of),
        ) = _starts(before, queue.name)
        held = queue.jobs
        if queue.canceled is not None:
            canceled.append(f"{canceled_of}{queue.canceled}\n")
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
        if queue.longest_running_since is not None:
            longest.append(f"{longest_of}{max(0.0, snapshot.taken_at - queue.longest_running_since):.3f}\n")
        if queue.oldest_deferred_since is not None:
            deferred.append(f"{deferred_of}{max(0.0, snapshot.taken_at - queue.oldest_deferred_since):.3f}\n")
    page.add(catalog.RQ_SUSPENDED, text, int(snapshot.suspended))


def _workers(page: _Page, before: str, text: str, snapshot: Snapshot) -> None:
    for worker in snapshot.workers:
        named = {"name": worker.name, "queues": worker.queues}
        # rq-exporter's order of labels.
        stated = {"name": worker.name, "state": worker.state, "queues": worker.queues}
        where = before + labels(named)
        page.add(catalog.RQ_WORKERS, before + labels(stated), 1)
        for metric, number in (
            (catalog.RQ_WORKERS_SUCCESS_TOTAL, worker.succeeded),
            (catalog.RQ_WORKERS_FAILED_TOTAL, worker.failed),
            (catalog.RQ_WORKERS_WORKING_TIME_TOTAL, worker.working_seconds),
        ):
            if number is not None:
                page.add(metric, where, number)
    states = Counter(dict.fromkeys(WORKER_STATES, 0))
    states.update(worker.state for worker in snapshot.workers)
    for state, workers in states.items():
        page.add(catalog.RQ_WORKERS_BY_STATE, before + labels({"state": state}), workers)
    beats = [worker.heartbeat for worker in snapshot.workers if worker.heartbeat is not None]
    if beats:
        age = max(0.0, snapshot.taken_at - min(beats))
        page.add(catalog.RQ_WORKER_HEARTBEAT_AGE_MAX_SECONDS, text, round(age, 3))
    overdue = [worker.is_overdue for worker in snapshot.workers]
    if None not in overdue:
        page.add(catalog.RQ_WORKERS_STALE, text, overdue.count(True))


def _jobs(page: _Page, before: str, text: str, snapshot: Snapshot) -> None:
    counts = snapshot.jobs
    # With zeros: increase() does not see a series' first value.
    for queue, function in dict.fromkeys((queue, function) for queue, function, _ in counts.outcomes):
        where = before + labels({"queue": queue, "function": function})
        for outcome in JOB_OUTCOMES:
            number = counts.outcomes.get((queue, function, outcome), 0)
            page.add(catalog.RQ_JOBS_PROCESSED_TOTAL, f'{where},outcome="{outcome}"', number)
    for queue in dict.fromkeys(queue for queue, _, _ in counts.outcomes):
        where = before + labels({"queue": queue})
        page.add(catalog.RQ_JOB_RETRIES_TOTAL, where, counts.retries.get(queue, 0))
        page.add(catalog.RQ_WORK_HORSES_KILLED_TOTAL, where, counts.horses_killed.get(queue, 0))
    for (queue, exception), number in counts.failures.items():
        where = before + labels({"queue": queue, "exception": exception})
        page.add(catalog.RQ_JOB_FAILURES_TOTAL, where, number)
    for metric, histograms in (
        (catalog.RQ_JOB_WAIT_SECONDS, counts.wait),
        (catalog.RQ_JOB_RUN_SECONDS, counts.run),
    ):
        for (queue, function), histogram in histograms.items():
            if histogram.buckets:  # otherwise they could not be read
                where = before + labels({"queue": queue, "function": function})
                page.add_histogram(metric, where, histogram)
    page.add(catalog.RQ_JOBS_SAMPLED, text, snapshot.sampled)
    page.add(catalog.RQ_JOBS_UNACCOUNTED, text, snapshot.unaccounted)


def _rate_limits(page: _Page, before: str, _: str, snapshot: Snapshot) -> None:
    requests = snapshot.rate_limits.requests
    for resource in dict.fromkeys(resource for resource, _ in requests):
        where = before + labels({"resource": resource})
        for outcome in RATE_LIMIT_OUTCOMES:
            number = requests.get((resource, outcome), 0)
            page.add(catalog.RQ_RATE_LIMIT_REQUESTS_TOTAL, f'{where},outcome="{outcome}"', number)


def _cron(page: _Page, before: str, text: str, snapshot: Snapshot) -> None:
    cron = snapshot.cron
    page.add(catalog.RQ_CRON_ENTRIES, text, cron.registered)
    page.add(catalog.RQ_CRON_PROCESSES, text, cron.processes)
    page.add(catalog.RQ_CRON_ENTRIES_PASSED_OVER, text, cron.passed_over)
    for id_, entry in cron.entries.items():
        about = {
            "entry": id_,
            "function": entry.function,
            "queue": entry.queue,
            "schedule": entry.schedule,
            "timezone": entry.timezone,
        }
        known = {name: _UNKNOWN if value is None else value for name, value in about.items()}
        page.add(catalog.RQ_CRON_ENTRY_INFO, before + labels(known), 1)
    for metric, times in (
        (catalog.RQ_CRON_NEXT_RUN_TIMESTAMP_SECONDS, cron.next),
        (catalog.RQ_CRON_LAST_RUN_TIMESTAMP_SECONDS, cron.last),
    ):
        for id_, when in times.items():
            page.add(metric, before + labels({"entry": id_}), when)
    # With zeros, as in _jobs: the first missed slot must be seen.
    for id_ in dict.fromkeys((*cron.entries, *cron.outcomes)):
        outcomes = cron.outcomes.get(id_, {})
        where = before + labels({"entry": id_})
        for outcome in CRON_OUTCOMES:
            page.add(catalog.RQ_CRON_SLOTS_TOTAL, f'{where},outcome="{outcome}"', outcomes.get(outcome, 0))
    page.add_histogram(catalog.RQ_CRON_LATENESS_SECONDS, text, cron.lateness)


def _redis(page: _Page, before: str, text: str, snapshot: Snapshot) -> None:
    info = snapshot.info
    for metric, number in (
        (catalog.RQ_REDIS_MEMORY_USED_BYTES, info.used_memory),
        (catalog.RQ_REDIS_MEMORY_MAX_BYTES, info.maxmemory),
        (catalog.RQ_REDIS_EVICTED_KEYS_TOTAL, info.evicted_keys),
        (catalog.RQ_REDIS_CONNECTED_CLIENTS, info.connected_clients),
        (catalog.RQ_REDIS_COMMANDS_PROCESSED_TOTAL, info.total_commands_processed),
        (catalog.RQ_REDIS_UPTIME_SECONDS, info.uptime_in_seconds),
        (catalog.RQ_REDIS_AOF_ENABLED, info.aof_enabled),
        (catalog.RQ_REDIS_LAST_SAVE_TIMESTAMP_SECONDS, info.rdb_last_save_time),
        (catalog.RQ_REDIS_CHANGES_SINCE_LAST_SAVE, info.rdb_changes_since_last_save),
    ):
        if number is not None:
            page.add(metric, text, number)
    for kind, is_ok in info.last_write_ok.items():
        page.add(catalog.RQ_REDIS_LAST_WRITE_OK, before + labels({"kind": kind}), int(is_ok))
    for db, keys in info.keys.items():
        page.add(catalog.RQ_REDIS_KEYS, before + labels({"db": db}), keys)


@functools.lru_cache(maxsize=8192)
def _jobs_lines(where: str, *statuses: str) -> str:
    """Return a template of a queue's lines, the most frequent ones on a page; the numbers are filled in."""
    name = catalog.RQ_JOBS.name
    return "".join([f'{name}{{{where.replace("%", "%%")},status="{status}"}} %d\n' for status in statuses])


@functools.lru_cache(maxsize=8192)
def _starts(before: str, queue: str) -> tuple[str, ...]:
    """Return a queue's labels, and the beginnings of its lines for _OF_QUEUE."""
    where = before + labels({"queue": queue})
    return where, *(f"{metric.name}{{{where}}} " for metric in _OF_QUEUE)
