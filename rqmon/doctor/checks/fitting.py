"""Producers, workers and this host that don't fit together: serializer, key prefix, database, versions."""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterator

from rq import Queue
from rq.version import VERSION

from rqmon.doctor.facts import Facts
from rqmon.doctor.finding import Finding, Severity
from rqmon.doctor.phrases import counted, listed
from rqmon.doctor.remedies import WHICH_REDIS, python, quoted, why
from rqmon.resources import command_line


def serializer(facts: Facts, _now: float) -> Iterator[Finding]:
    """Waiting jobs that are written with another serializer than RQ_SERIALIZER."""
    sampled = sum(facts.formats.counts.values())
    for name, number in facts.formats.counts.items():
        if name != facts.serializer:
            yield Finding(
                Severity.BROKEN,
                f"{number} of {counted(sampled, 'waiting job')} looked at {'is' if number == 1 else 'are'} "
                f"written with {name}, and RQ_SERIALIZER is {facts.serializer} here.",
                "Workers that are set as this host can't read them, and fail them. "
                "Producers and workers need the same RQ_SERIALIZER.",
                why(facts.formats.examples[name]),
            )


def prefix(facts: Facts, _now: float) -> Iterator[Finding]:
    """RQ's queues under another key prefix than ours."""
    if facts.other_prefixes:
        ours = Queue.redis_queues_keys.removesuffix(":queues")
        yield Finding(
            Severity.WARNING,
            f"RQ queues are also under the key prefix {listed(facts.other_prefixes)}; here it is {ours}.",
            "Producers and workers with different prefixes never meet, and nothing here shows those jobs.",
            f"RQ_KEY_PREFIX={shlex.quote(facts.other_prefixes[0])} {command_line('doctor')}  # with rq 3",
        )


def database(facts: Facts, _now: float) -> Iterator[Finding]:
    """No queue or worker in this database, and keys in others of the same Redis."""
    if facts.snapshot.queues or facts.workers:
        return
    others = [name for name in facts.info if re.fullmatch(r"db\d+", name)]
    others = [name for name in others if name != f"db{facts.database}"]
    if others:
        yield Finding(
            Severity.WARNING,
            f"There is no queue here, and this Redis has keys in {listed(others)}.",
            "RQ_REDIS_URL may name another database, or prefix, than that of the producers and workers.",
            WHICH_REDIS,
        )


def versions(facts: Facts, now: float) -> Iterator[Finding]:
    """Workers with different versions of RQ, or of another major version than this host's."""
    workers = defaultdict(list)
    for worker in facts.workers:
        if worker.version and worker.is_live(now):
            workers[worker.version].append(worker.name)
    if len(workers) > 1:
        said = [f"{version} ({counted(len(names), 'worker')})" for version, names in sorted(workers.items())]
        yield Finding(
            Severity.WARNING,
            f"Workers run different versions of RQ: {listed(said)}.",
            "What one writes, another may not read. It is so for a while when a new version is rolled out.",
            f"pip install {quoted(f'rq=={max(workers, key=_order)}')}  # where the others run",
        )
    majors = {_order(version)[0] for version in workers}
    if len(workers) == 1 and majors != {_order(VERSION)[0]}:
        yield Finding(
            Severity.WARNING,
            f"All workers run RQ {listed(list(workers))}, and here it is {VERSION}.",
            "Commands and the exporter of this host may read some of what they write wrongly.",
            f"{python()} -m pip install {quoted(*(f'rq=={version}' for version in workers))}",
        )


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:3]) or (0,)
