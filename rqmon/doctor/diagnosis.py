"""One look at the live system within two seconds: Redis and the stack's services, at the same time."""

import time
from dataclasses import dataclass, replace

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from rqmon.doctor import gathering
from rqmon.doctor.checks import redis_server
from rqmon.doctor.examine import examine
from rqmon.doctor.facts import Facts
from rqmon.doctor.finding import Finding
from rqmon.doctor.phrases import counted
from rqmon.doctor.stack_services import Services
from rqmon.stack.environment import StackConfig
from scheduler import SchedulerError, Settings

# Together with the start of the program, that is under two seconds.
_REDIS_SECONDS = 1.0
_SERVICES_SECONDS = 1.2


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        findings: The most serious first.
        unknown: What could not be looked at, and why.
        looked_at: What was, in a few words.
        seconds: How long it took.
    """

    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    looked_at: str
    seconds: float


def impatient(url: str) -> Redis:
    """A client that tries once, and gives up after a second."""
    return Redis.from_url(
        url,
        socket_connect_timeout=_REDIS_SECONDS,
        socket_timeout=_REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def diagnose(settings: Settings, config: StackConfig) -> Diagnosis:
    """Look at everything once."""
    started = time.monotonic()
    services = Services(config)
    facts, refused = None, None
    with impatient(settings.redis_url) as connection:
        try:
            facts = gathering.take(connection, serializer=settings.serializer)
        except (RedisError, SchedulerError) as error:
            refused = redis_server.no_answer(error)
    unhealthy = services.unhealthy(seconds=max(0.0, started + _SERVICES_SECONDS - time.monotonic()))
    if refused is not None:
        findings = [refused, *redis_server.unhealthy(unhealthy)]
    if facts is not None:
        facts = replace(facts, has_stack=services.has_stack, unhealthy_services=unhealthy)
        findings = examine(facts, now=facts.snapshot.taken_at)
    return Diagnosis(
        findings=tuple(findings),
        unknown=facts.unknown if facts else (),
        looked_at=_looked_at(facts) if facts else "nothing in Redis",
        seconds=time.monotonic() - started,
    )


def _looked_at(facts: Facts) -> str:
    entries = len(facts.cron.listing.states) + len(facts.cron.listing.unreadable) if facts.cron else 0
    numbers = (
        (len(facts.snapshot.queues), "queue"),
        (len(facts.workers), "worker"),
        (entries, "cron entry"),
    )
    return ", ".join(counted(number, noun) for number, noun in numbers)
