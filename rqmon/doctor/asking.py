"""Many commands to Redis in one round trip, where an answer that is an error costs itself alone."""

from collections.abc import Iterator, Mapping
from typing import Any

# What is asked for, and of what: ("result", queue, job id).
Key = tuple[Any, ...]
Commands = dict[Key, tuple[Any, ...]]
Answers = Mapping[Key, Any]


def ask(connection: Any, commands: Commands) -> dict[Key, Any]:
    """The answers by key; one that is an error is missing.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    if not commands:
        return {}
    with connection.pipeline(transaction=False) as pipe:
        for command in commands.values():
            pipe.execute_command(*command)
        answers = pipe.execute(raise_on_error=False)
    return {
        key: answer
        for key, answer in zip(commands, answers, strict=True)
        if not isinstance(answer, Exception)
    }


def of(answers: Answers, what: str) -> Iterator[tuple[Key, Any]]:
    """The answers to what was asked for, by the rest of their keys."""
    for (kind, *rest), answer in answers.items():
        if kind == what:
            yield tuple(rest), answer
