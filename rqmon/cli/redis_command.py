"""The command that sends Redis one of its own commands."""

from collections.abc import Iterator
from typing import Any

import click

from rqmon.terminal import printable
from scheduler.queues import shared_connection


@click.command("redis", context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="COMMAND...")
def redis_(*, words: tuple[str, ...]) -> None:
    """Send Redis one of its own commands, such as `info memory`, and print the answer.

    It needs no client, and shows no password to those who list the machine's processes.
    """
    connection: Any = shared_connection()  # redis-py types every answer as an awaitable too
    connection.response_callbacks.clear()  # as Redis answers, not as objects of redis-py's
    for line in _lines(connection.execute_command(*words)):
        click.echo(printable(line))


def _lines(answer: Any) -> Iterator[str]:
    if isinstance(answer, dict):
        answer = [it for pair in answer.items() for it in pair]
    if isinstance(answer, list | tuple):
        for it in answer:
            yield from _lines(it)
    elif answer is None:
        yield "(nil)"
    elif isinstance(answer, bytes):
        yield from answer.decode(errors="backslashreplace").splitlines() or [""]
    else:
        yield str(answer)
