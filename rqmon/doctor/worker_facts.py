"""What is asked about workers and schedulers, and what the answers say."""

import socket
from collections.abc import Iterable

import psutil
from rq import Worker
from rq.scheduler import SCHEDULER_LOCKING_KEY_TEMPLATE
from rq.worker_registration import WORKERS_BY_QUEUE_KEY

from rqmon.doctor.asking import Answers, Commands, of
from rqmon.doctor.facts import WorkerFacts
from rqmon.exporter.reading.registries import shown, timestamp
from rqmon.exporter.reading.snapshot import QueueState

_FIELDS = ("state", "queues", "last_heartbeat", "hostname", "pid", "version")

# Of a process id; int() refuses a text of thousands.
_MOST_DIGITS = 18

COMMANDS: Commands = {("workers",): ("SMEMBERS", Worker.redis_workers_keys)}


def of_workers(first: Answers) -> Commands:
    """What to ask of each worker."""
    commands: Commands = {}
    for key in sorted(first.get(("workers",), ())):
        commands["worker", key] = ("HMGET", key, *_FIELDS)
        commands["life", key] = ("PTTL", key)
    return commands


def of_queues(queues: Iterable[tuple[QueueState, bytes]]) -> Commands:
    """What to ask about who looks after each queue, given with its name as Redis holds it."""
    commands: Commands = {}
    for queue, name in queues:
        if queue.jobs.get("queued"):
            commands["registered", queue.name] = ("SCARD", _key(WORKERS_BY_QUEUE_KEY, name))
        if queue.jobs.get("scheduled"):
            commands["scheduler", queue.name] = ("EXISTS", scheduler_lock(name))
    return commands


def scheduler_lock(queue: bytes) -> bytes:
    """The key that RQ's scheduler of a queue holds."""
    return _key(SCHEDULER_LOCKING_KEY_TEMPLATE, queue)


def parse(answers: Answers, *, now: float) -> tuple[WorkerFacts, ...]:
    """Every registered worker; a field that can't be read is unknown, and costs no other."""
    return tuple(
        _worker(key, fields, answers.get(("life", key)), now=now) for (key,), fields in of(answers, "worker")
    )


def registered(second: Answers) -> dict[str, int]:
    """How many workers are registered for a queue."""
    return {queue: number for (queue,), number in of(second, "registered")}


def with_scheduler(second: Answers) -> frozenset[str]:
    """The queues whose scheduled jobs somebody looks after."""
    return frozenset(queue for (queue,), there in of(second, "scheduler") if there)


def _key(template: str, queue: bytes) -> bytes:
    return template.encode().replace(b"%s", queue)


def _worker(key: bytes, fields: list[bytes | None], life: int | None, *, now: float) -> WorkerFacts:
    name = shown(key.removeprefix(Worker.redis_worker_namespace_prefix.encode()))
    if not any(fields):
        return WorkerFacts(name, is_gone=True)
    state, queues, heartbeat, host, pid, version = fields
    try:
        beat = timestamp(heartbeat)
    except ValueError:
        beat = None
    process_id = int(pid) if pid and pid.isdigit() and len(pid) <= _MOST_DIGITS else None
    return WorkerFacts(
        name=name,
        state=shown(state or b""),
        queues=shown(queues or b""),
        heartbeat=beat,
        expires_at=now + life / 1000 if life is not None and life >= 0 else None,
        host=shown(host or b""),
        pid=process_id,
        version=shown(version or b""),
        process=_process(process_id) if host == socket.gethostname().encode() and process_id else "",
    )


def _process(pid: int) -> str:
    """What this host says of a process, as psutil does: running, sleeping, stopped, zombie; or gone."""
    try:
        return psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return "gone"
    except (psutil.Error, OverflowError):
        return ""
