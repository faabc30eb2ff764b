"""Reads the answer to INFO line by line: a line that can't be read affects no other."""

from dataclasses import fields
from types import MappingProxyType

from rqmon.exporter.reading.snapshot import ServerInfo
from scheduler.ledger.reading import amount

_NUMBERS = tuple(field.name for field in fields(ServerInfo) if field.name not in ("last_write_ok", "keys"))
_LAST_WRITES = {"rdb": "rdb_last_bgsave_status", "aof": "aof_last_write_status"}


def parse(text: bytes) -> tuple[ServerInfo, list[str]]:
    """Return the information, and the names of the fields that can't be read."""
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    given = {name: value for name, colon, value in lines if colon}
    numbers = {name: given[name] for name in _NUMBERS if name in given}
    keys = {
        name: value.removeprefix("keys=").partition(",")[0]
        for name, value in given.items()
        if name.startswith("db") and value.startswith("keys=")
    }
    read, unreadable = {}, []
    for name, value in (*numbers.items(), *keys.items()):
        try:
            read[name] = amount(value)
        except ValueError:
            unreadable.append(f"info {name}")
    last_writes = {kind: given[name] == "ok" for kind, name in _LAST_WRITES.items() if name in given}
    info = ServerInfo(
        **{name: read[name] for name in numbers if name in read},
        last_write_ok=MappingProxyType(last_writes),
        keys=MappingProxyType({name.removeprefix("db"): read[name] for name in keys if name in read}),
    )
    return info, unreadable
