"""Many commands to one Redis server in one round trip, read as fast as the C parser can."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
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

    Args:
        client: Of the server.
        seconds: Within which every answer must be there, however slowly they come.
    """

    def __init__(self, client: Redis, *, seconds: float) -> None:
        self._pool, self._seconds = client.connection_pool, seconds

    def __enter__(self) -> "RoundTrips":
        self._deadline = time.monotonic() + self._seconds
        # Looks whether the server closed it meanwhile, and connects again if so.
        self._connection = self._pool.get_connection()
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if type_ is not None:
            self._connection.disconnect()  # answers may still be under way
        self._pool.release(self._connection)

    def ask(self, commands: Iterable[bytes], *, answers: int) -> Iterator[Any]:
        """Send packed commands and give each answer as it comes, while the server works on the next ones.

        One that failed answers a `hiredis.ReplyError`. All have to be read.

        Raises:
            redis.ConnectionError: The server went away.
            redis.InvalidResponse: It answered what is no answer.
            redis.TimeoutError: The time for all of them is over.
        """
        if not answers:
            return
        socket = self._connection._sock  # redis-py has no public way to it
        reader = hiredis.Reader(protocolError=InvalidResponse)
        gets, unasked = reader.gets, hiredis.PushNotification  # looked up once: there are 12,000 answers
        try:
            self._until_deadline(socket)
            socket.sendall(b"".join(commands))
            for left in reversed(range(answers)):
                answer = gets()
                # Over RESP3 a server also sends what nobody asked, as a notice of maintenance.
                while answer is False or answer.__class__ is unasked:
                    if answer is False:
                        self._until_deadline(socket)
                        received = socket.recv(_RECEIVE_BYTES)
                        if not received:
                            raise RedisConnectionError("The server closed the connection")
                        reader.feed(received)
                    answer = gets()
                if not left and reader.has_data() and not isinstance(gets(), unasked):
                    raise InvalidResponse("The server answered more than it was asked")
                yield answer
        except TimeoutError as error:
            raise RedisTimeoutError("The server did not answer in time") from error
        except OSError as error:
            raise RedisConnectionError(str(error)) from error

    def _until_deadline(self, socket: Any) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        socket.settimeout(left)
