"""What is around the queues: how Redis saves, other key prefixes, rate limits."""

import json

from rq import Queue

from rqmon.doctor.asking import Answers, Commands, of
from rqmon.doctor.facts import LimitFacts
from rqmon.exporter.reading.registries import shown

# A look at so many keys takes Redis some milliseconds; a larger database is looked at in part.
_SCANNED = 10_000
_NAMED = 100
_LIMIT_PREFIX = b"rqmon:rate-limit:"
_QUEUES_SUFFIX = b":queues"
_OURS = b"rqmon:"

COMMANDS: Commands = {
    ("info",): ("INFO",),
    ("queues",): ("SMEMBERS", Queue.redis_queues_keys),
    ("save",): ("CONFIG GET", "save"),
    ("prefixes",): ("SCAN", 0, "MATCH", b"*" + _QUEUES_SUFFIX, "COUNT", _SCANNED),
    ("limits",): ("SCAN", 0, "MATCH", _LIMIT_PREFIX + b"*", "COUNT", _SCANNED),
}


def info(first: Answers) -> dict[str, str]:
    """What INFO says, by its own names."""
    return {name: str(value) for name, value in first.get(("info",), {}).items()}


def queue_names(first: Answers) -> dict[str, bytes]:
    """The queues' names as Redis holds them, by how they are shown."""
    prefix = Queue.redis_queue_namespace_prefix.encode()
    return {shown(raw): raw for raw in (key.removeprefix(prefix) for key in first.get(("queues",), ()))}


def rdb_saves(first: Answers) -> str | None:
    """The setting `save`; None where Redis did not tell."""
    saves: str | None = first.get(("save",), {}).get("save")
    return saves


def details(first: Answers) -> Commands:
    """What to ask of the keys that were found."""
    commands: Commands = {}
    for key in _found(first, "prefixes"):
        if key != Queue.redis_queues_keys.encode() and not key.startswith(_OURS):
            commands["prefix", key.removesuffix(_QUEUES_SUFFIX)] = ("SRANDMEMBER", key)
    for key in _found(first, "limits"):
        commands["limit", key] = ("LLEN", key)
    return commands


def other_prefixes(second: Answers) -> tuple[str, ...]:
    """Prefixes whose set of queues holds what RQ writes there; other programs have sets of that name too."""
    return tuple(
        shown(prefix)
        for (prefix,), member in of(second, "prefix")
        if isinstance(member, bytes) and member.startswith(prefix + b":queue:")
    )


def limits(second: Answers) -> tuple[LimitFacts, ...]:
    """The windows of rate limits; a key that is none is passed over."""
    found = []
    for (key,), requests in of(second, "limit"):
        try:
            resource, client, most, seconds = json.loads(key.removeprefix(_LIMIT_PREFIX))
            found.append(LimitFacts(str(resource), str(client), int(most), int(seconds), requests))
        except (ValueError, TypeError, OverflowError, RecursionError):
            continue
    return tuple(found)


def _found(first: Answers, name: str) -> list[bytes]:
    return sorted(first.get((name,), (0, []))[1])[:_NAMED]
