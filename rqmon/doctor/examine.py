"""Runs every check over the facts, and orders what they find by gravity."""

from collections.abc import Callable, Iterator

from rqmon.doctor.checks import fitting, redis_server, repeating, running, waiting
from rqmon.doctor.facts import Facts
from rqmon.doctor.finding import Finding, Severity

Check = Callable[[Facts, float], Iterator[Finding]]

_MOST_OF_A_KIND = 5
# Among equally grave findings, those of the first checks come first.
CHECKS: tuple[Check, ...] = (
    redis_server.refuses,
    redis_server.services,
    waiting.suspended,
    running.all_dead,
    running.stuck,
    waiting.without_worker,
    waiting.not_taken,
    running.overrunning,
    repeating.no_process,
    repeating.cant_run,
    repeating.stuck,
    waiting.without_scheduler,
    waiting.overdue,
    waiting.between,
    running.abandoned,
    fitting.serializer,
    redis_server.evicts,
    redis_server.memory,
    redis_server.persistence,
    running.failing,
    waiting.deferred,
    waiting.limited,
    repeating.late,
    repeating.drifting,
    repeating.duplicates,
    repeating.paused,
    running.unaccounted,
    fitting.prefix,
    fitting.database,
    fitting.versions,
    redis_server.clocks,
    redis_server.unreadable,
)


def examine(facts: Facts, *, now: float) -> list[Finding]:
    """What is wrong, the most serious first; a check that fails is a finding itself.

    Args:
        facts: What was read.
        now: By Redis' clock, in Unix seconds.
    """
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += _first(list(check(facts, now)))
        except Exception as error:  # noqa: BLE001  # one bad thing in Redis must not hide the other findings
            found.append(
                Finding(
                    Severity.WARNING,
                    f"The check {check.__module__.rpartition('.')[2]}.{check.__name__} failed.",
                    f"{type(error).__name__}: {error}",
                    "",
                )
            )
    return _by_gravity(found)


def _first(found: list[Finding]) -> list[Finding]:
    """The most serious of one check, and how many more there are: all queues may have the same fault."""
    found = _by_gravity(found)
    rest = found[_MOST_OF_A_KIND:]
    if len(rest) < 2:
        return found
    more = Finding(
        rest[0].severity,
        f"{len(rest):,} more like the one before.",
        "Mend that one first, and look again.",
        "",
    )
    return [*found[:_MOST_OF_A_KIND], more]


def _by_gravity(found: list[Finding]) -> list[Finding]:
    return sorted(found, key=lambda finding: -finding.severity)
