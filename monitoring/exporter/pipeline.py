"""Many commands to one Redis server in one round trip, read as fast as the C parser can."""

from collections.abc import Iterable
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

_RECEIVE_BYTES = 1 << 18


def pack(*arguments: str | bytes | int) -> bytes:
    """One command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # takes any number of them
    return packed


class RoundTrips:
    """A connection of the client's pool for the time of one scrape.

    redis-py handles each answer of a pipeline on its own in Python: 38 ms for 7,000 answers, of which
    the parser needs 2. So this reads the connection's socket itself.
    """

    def __init__(self, client: Redis) -> None:
        self._pool = client.connection_pool

    def __enter__(self) -> "RoundTrips":
        # Looks whether the server closed it meanwhile, and connects again if so.
        self._connection = self._pool.get_connection()
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if type_ is not None:
            self._connection.disconnect()  # answers may still be under way
        self._pool.release(self._connection)

    def ask(self, commands: Iterable[bytes], *, answers: int) -> list[Any]:
        """Send packed commands and read their answers; one that failed answers a `hiredis.ReplyError`.

        Raises:
            redis.ConnectionError: The server went away.
            redis.TimeoutError: It did not answer within the client's socket timeout.
        """
        if not answers:
            return []
        socket = self._connection._sock  # redis-py has no public way to it
        reader = hiredis.Reader()
        found: list[Any] = []
        try:
            socket.sendall(b"".join(commands))
            while len(found) < answers:
                received = socket.recv(_RECEIVE_BYTES)
                if not received:
                    raise RedisConnectionError("The server closed the connection")
                reader.feed(received)
                while (answer := reader.gets()) is not False:
                    found.append(answer)
        except TimeoutError as error:
            raise RedisTimeoutError("The server did not answer in time") from error
        except OSError as error:
            raise RedisConnectionError(str(error)) from error
        return found
