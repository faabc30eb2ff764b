"""The Redis servers that the options name, each with a client and the labels of its samples."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from rq import Queue, Worker
from rq.utils import import_attribute
from rq.worker import BaseWorker

from rqmon.ports import DEFAULT_PORTS
from scheduler.config import check_redis_url
from scheduler.errors import ConfigError

_MOST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Server:
    """A Redis server, and the labels of its samples: none if it is the only server."""

    client: Redis
    labels: Mapping[str, str]
    queue_class: type[Queue] = Queue
    worker_class: type[BaseWorker] = Worker


def servers(options: argparse.Namespace) -> list[Server]:
    """Return the servers that the command line and the environment name.

    Raises:
        ConfigError: An option is invalid.
    """
    # Like the options, this reads the environment on import.
    from rq_exporter.utils import get_redis_connection

    classes: dict[str, Any] = {
        "queue_class": _class("RQ_QUEUE_CLASS", options.queue_class, base=Queue),
        "worker_class": _class("RQ_WORKER_CLASS", options.worker_class, base=BaseWorker),
    }
    try:
        if options.redis_urls:
            if options.password_counts:
                raise ConfigError(
                    "RQ_REDIS_URLS names servers with their own passwords, so --redis-pass, "
                    "RQ_REDIS_PASS and their files can't be used: put each password into its URL"
                )
            clients = [Redis.from_url(url) for url in _split(options.redis_urls)]
            found = [Server(client, {"redis": _name(client)}, **classes) for client in clients]
            if not found:
                raise ConfigError("RQ_REDIS_URLS has only commas: name a server, or remove it")
            if len({server.labels["redis"] for server in found}) < len(found):
                raise ConfigError("RQ_REDIS_URLS names a server and database twice: name each once")
            return found
        if options.redis_url:
            check_redis_url(options.redis_url)  # refuses what redis-py would later
        else:
            _check_numbers(options)
        password = _password(options) if options.password_counts or not options.redis_url else None
        client = get_redis_connection(
            url=options.redis_url,
            host=options.redis_host,
            port=options.redis_port,
            db=options.redis_db,
            sentinel=options.sentinel_host,
            sentinel_port=options.sentinel_port,
            sentinel_master=options.sentinel_master,
            password=password,
        )
    except ValueError:
        raise ConfigError(
            "RQ_REDIS_URL is not a Redis URL: use redis://[:password@]host[:port][/db]"
        ) from None
    if options.redis_url and options.password_counts:
        client.connection_pool.connection_kwargs["password"] = password
    return [Server(client, {}, **classes)]


def _class(variable: str, path: str, *, base: type) -> type:
    try:
        found = import_attribute(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{variable} can't be imported: {error}") from None
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ConfigError(f"{variable} is {path!r}, which is not an RQ {base.__name__}: name a class that is")
    return found


def _check_numbers(options: argparse.Namespace) -> None:
    """Refuse what redis-py would accept, but fail on at each scrape."""
    sentinels = (address.partition(":")[2] for address in (options.sentinel_host or "").split(","))
    for variable, given, most in (
        ("RQ_REDIS_PORT", options.redis_port, _MOST_PORT),
        ("RQ_SENTINEL_PORT", options.sentinel_port, _MOST_PORT),
        *(("RQ_SENTINEL_HOST", port, _MOST_PORT) for port in sentinels if port),
        ("RQ_REDIS_DB", options.redis_db, None),
    ):
        text = str(given)
        if not (text.isascii() and text.isdigit()) or (most and not 0 < int(text) <= most):
            raise ConfigError(
                f"{variable} has {text!r}: use a number{f' from 1 to {most}' if most else ', 0 or more'}"
            )


def _password(options: argparse.Namespace) -> str | None:
    if not options.redis_pass_file:
        given: str | None = options.redis_pass
        return given
    try:
        return Path(options.redis_pass_file).read_text().strip()
    except (OSError, ValueError) as error:
        raise ConfigError(f"RQ_REDIS_PASS_FILE can't be read: {error}") from None


def _split(urls: str) -> list[str]:
    given = [url.strip() for url in urls.split(",") if url.strip()]
    for number, url in enumerate(given, 1):
        try:
            check_redis_url(url)
        except ConfigError:
            raise ConfigError(
                f"Entry {number} of RQ_REDIS_URLS is not a Redis URL: "
                "use redis://[:password@]host[:port][/db], separated by commas"
            ) from None
    return given


def _name(client: Redis) -> str:
    """Return host:port/db, or path/db for a socket, without user and password."""
    given = client.connection_pool.connection_kwargs
    address = (
        given.get("path")
        or f"{given.get('host', 'localhost')}:{given.get('port', DEFAULT_PORTS['REDIS_PORT'])}"
    )
    return f"{address}/{given.get('db', 0)}"
