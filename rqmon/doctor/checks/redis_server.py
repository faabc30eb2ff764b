"""Whether Redis takes writes and keeps what it is given, and whether the stack's services run."""

from collections.abc import Iterator, Mapping

from redis.exceptions import ResponseError

from rqmon.doctor.facts import Facts
from rqmon.doctor.finding import Finding, Severity
from rqmon.doctor.phrases import counted, listed, span
from rqmon.doctor.remedies import WHICH_REDIS, redis_command
from rqmon.resources import command_line
from rqmon.thresholds import REDIS_MEMORY_SHARE
from scheduler.connections.refusals import meaning, refusal
from scheduler.cron.clock import TOLERANCE_SECONDS
from scheduler.errors import SchedulerError

# What shows where each refusal comes from, or ends it; of NOAUTH, the address does.
_COMMANDS = {
    "READONLY": ("INFO", "replication"),
    "MASTERDOWN": ("INFO", "replication"),
    "UNBLOCKED": ("INFO", "replication"),
    "LOADING": ("INFO", "persistence"),
    "MISCONF": ("INFO", "persistence"),
    "NOPERM": ("ACL", "LOG"),
    "OOM": ("INFO", "memory"),
    "BUSY": ("SCRIPT", "KILL"),
    "NOREPLICAS": ("INFO", "replication"),
}


def refusal_finding(code: str) -> Finding:
    """What is said of a Redis that refuses with a code."""
    fact, _, cause = meaning(code).partition(": ")
    command = redis_command(*_COMMANDS[code]) if code in _COMMANDS else WHICH_REDIS
    return Finding(Severity.BROKEN, fact, cause, command)


def refuses(facts: Facts, _now: float) -> Iterator[Finding]:
    """Redis answers, and refuses writes, or this user."""
    for code in facts.snapshot.refuses:
        if code != "NOPERM":
            yield refusal_finding(code)
    if facts.snapshot.refused:
        yield Finding(
            Severity.WARNING,
            f"This user may not read {listed(facts.snapshot.refused)}.",
            "It is unknown here, and to an exporter with this user. The rights: docs/reference/redis.md.",
            redis_command(*_COMMANDS["NOPERM"]),
        )


def no_answer(error: Exception) -> Finding:
    """What is said of a Redis that can't be read at all."""
    code = refusal(error)
    if code is not None:
        return refusal_finding(code)
    if isinstance(error, SchedulerError):  # it is too old
        return Finding(
            Severity.BROKEN, str(error), "Nothing of RQ can run with it.", redis_command("INFO", "server")
        )
    if isinstance(error, ResponseError):
        return Finding(Severity.BROKEN, "Redis answers with an error.", str(error), redis_command("INFO"))
    return Finding(
        Severity.BROKEN,
        "Redis does not answer.",
        f"No job can be queued or run. It is down, hangs, or is elsewhere: {error or type(error).__name__}",
        f"{command_line('start')}; {WHICH_REDIS}",
    )


def services(facts: Facts, _now: float) -> Iterator[Finding]:
    """Services of the stack that was started here."""
    yield from unhealthy(facts.unhealthy_services)


def unhealthy(services: Mapping[str, str] | None) -> Iterator[Finding]:
    """What is said of services, by name and by what is wrong with them; None if they were too slow."""
    if services is None:
        yield Finding(
            Severity.WARNING,
            "The stack did not say within a second whether its services are healthy.",
            "This machine is busy, or a service hangs. The command waits longer, and names it.",
            command_line("status"),
        )
        return
    for name, problem in services.items():
        yield Finding(
            Severity.BROKEN,
            f"The service {name} is not healthy.",
            f"It says: {problem}.",
            f"{command_line(f'logs {name}')}; {command_line('start')}",
        )


def evicts(facts: Facts, _now: float) -> Iterator[Finding]:
    """An eviction policy that throws jobs away when memory is full."""
    info = facts.info
    policy, limit = info.get("maxmemory_policy", "noeviction"), _number(info, "maxmemory")
    if policy == "noeviction" or not limit:
        return
    evicted = int(_number(info, "evicted_keys") or 0)
    lost = (
        f"It has evicted {counted(evicted, 'key')} since it started."
        if evicted
        else "It has evicted none yet."
    )
    yield Finding(
        Severity.BROKEN if evicted else Severity.WARNING,
        f"Redis deletes keys when its memory is full ({policy}).",
        f"An evicted key is a lost job, result or count. {lost}",
        redis_command("CONFIG", "SET", "maxmemory-policy", "noeviction"),
    )


def memory(facts: Facts, _now: float) -> Iterator[Finding]:
    """Memory near its limit: soon nothing can be queued."""
    info = facts.info
    used, limit = _number(info, "used_memory"), _number(info, "maxmemory")
    if used is None or not limit or used / limit < REDIS_MEMORY_SHARE.acts_from:
        return
    yield Finding(
        Severity.WARNING,
        f"Redis uses {used / limit:.0%} of the memory it may use ({_size(used)} of {_size(limit)}).",
        "When it is full, Redis refuses new jobs (OOM) or deletes old keys.",
        redis_command("CONFIG", "SET", "maxmemory", str(int(2 * limit))),
    )


def persistence(facts: Facts, _now: float) -> Iterator[Finding]:
    """A restart that loses everything, or a disk that can't be written."""
    info = facts.info
    if facts.rdb_saves == "" and info.get("aof_enabled") == "0":
        yield Finding(
            Severity.WARNING,
            "Redis does not save to disk.",
            "When it restarts, all jobs, cron entries and counts are lost.",
            redis_command("CONFIG", "SET", "appendonly", "yes"),
        )
    for field, what in (
        ("rdb_last_bgsave_status", "snapshot"),
        ("aof_last_write_status", "append-only file"),
    ):
        if info.get(field, "ok") != "ok":
            yield Finding(
                Severity.WARNING,
                f"Redis could not write its {what} the last time.",
                "Its disk may be full, or its folder gone. What was queued since then is lost in a crash.",
                redis_command("INFO", "persistence"),
            )


def clocks(facts: Facts, now: float) -> Iterator[Finding]:
    """Clocks that differ: delays, ages and timeouts are then wrong by as much."""
    offset = facts.clock_offset_seconds
    if offset is not None and abs(offset) > TOLERANCE_SECONDS:
        yield Finding(
            Severity.WARNING,
            f"The clock here is {span(abs(offset))} {'ahead of' if offset > 0 else 'behind'} Redis' clock.",
            "Jobs that are scheduled from here are due too late or too early by as much.",
            "timedatectl set-ntp true",
        )
    ahead: dict[str, float] = {}
    for worker in facts.workers:
        if worker.heartbeat is not None and worker.heartbeat - now > TOLERANCE_SECONDS:
            ahead[worker.host] = max(ahead.get(worker.host, 0.0), worker.heartbeat - now)
    if ahead:
        yield Finding(
            Severity.WARNING,
            f"Workers' heartbeats are up to {span(max(ahead.values()))} in the future, "
            f"from {listed(sorted(ahead))}.",
            "The clocks of these hosts are ahead of Redis' clock. A worker that dies there is noticed late.",
            "timedatectl set-ntp true  # on those hosts",
        )


def unreadable(facts: Facts, _now: float) -> Iterator[Finding]:
    """Keys that hold something else than RQ and this project write."""
    names = facts.snapshot.unreadable
    if names:
        yield Finding(
            Severity.WARNING,
            f"{counted(len(names), 'key')} or fields of Redis can't be read: {listed(names)}.",
            "Another program or version wrote them. They are in no count and on no dashboard.",
            redis_command("SCAN", "0", "COUNT", "10000"),
        )


def _number(info: Mapping[str, str], name: str) -> float | None:
    try:
        return float(info[name])
    except (KeyError, ValueError):
        return None


def _size(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB" if size >= 2**20 else f"{size / 2**10:,.0f} KiB"
