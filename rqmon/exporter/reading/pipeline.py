"""Many commands to one Redis server in one round trip, read as fast as the C parser can."""

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

import hiredis
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse
from redis.exceptions import TimeoutError as RedisTimeoutError

_RECEIVE_BYTES = 1 << 18
# Ten times what 50,000 pairs are: a server that goes on beyond it would never end.
_MOST_BYTES = 1 << 27
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def pack(*arguments: str | bytes | int) -> bytes:
    """One command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # takes any number of them
    return packed


def pairs(answer: Any) -> dict[bytes, Any]:
    """The fields and values of a hash, or the members and scores of a sorted set; of None, nothing.

    RESP2 answers both as one flat list, RESP3 a map and a list of pairs.
    """
    if isinstance(answer, dict):
        return answer
    if answer and isinstance(answer[0], list):
        return dict(answer)
    flat = iter(answer or [])
    return dict(zip(flat, flat, strict=True))


class Waited:
    """How long one scrape has waited for Redis, so far: the exporter's own work is not in it.

    Whoever waits enters it; another thread may read it meanwhile.
    """

    def __init__(self) -> None:
        # In one value, so that no reader sees half a change: what is over, and when the present wait began.
        self._state: tuple[float, float | None] = (0.0, None)

    def __enter__(self) -> None:
        self._state = (self._state[0], time.monotonic())

    def __exit__(self, *_: object) -> None:
        self._state = (self.seconds(), None)

    def seconds(self) -> float:
        """Of all waits, the present one included."""
        over, since = self._state
        return over if since is None else over + time.monotonic() - since


class RoundTrips:
    """A connection of the client's pool for the time of one scrape.

    redis-py handles each answer of a pipeline on its own in Python: 38 ms for 7,000 answers, of which
    the parser needs 2. So this reads the connection's socket itself.

    Args:
        client: Of the server.
        seconds: So long it is waited for the server, the connection included, however slowly answers come.
            Reading them is the exporter's own time, which a loaded machine makes long, and not in it.
        waited: Is told of each wait.
    """

    def __init__(self, client: Redis, *, seconds: float, waited: Waited | None = None) -> None:
        self._pool, self._seconds = client.connection_pool, seconds
        self._waited = waited or Waited()
        self._received = 0

    def __enter__(self) -> "RoundTrips":
        with self._waited:
            # Looks whether the server closed it meanwhile, and connects again if so.
            try:
                self._connection = self._pool.get_connection()
            except AttributeError as error:  # redis-py 8 takes whatever a greeting answers for a map
                raise InvalidResponse("The server does not greet as Redis does") from error
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if type_ is not None:
            self._connection.disconnect()  # answers may still be under way
        elif socket := self._connection._sock:
            socket.settimeout(self._connection.socket_timeout)  # as redis-py left it
        self._pool.release(self._connection)

    def ask(self, commands: Iterable[bytes], *, answers: int) -> Iterator[Any]:
        """Send packed commands and give each answer as it comes, while the server works on the next ones.

        One that failed answers a `hiredis.ReplyError`. All have to be read.

        Raises:
            redis.ConnectionError: The server went away.
            redis.InvalidResponse: It answered what is no answer, or without end.
            redis.TimeoutError: It was waited for as long as it may be.
        """
        if not answers:
            return
        socket = self._connection._sock  # redis-py has no public way to it
        reader = hiredis.Reader(protocolError=InvalidResponse)
        gets, unasked = reader.gets, hiredis.PushNotification  # looked up once: there are 12,000 answers
        try:
            packed = b"".join(commands)
            socket.settimeout(self._left())
            with self._waited:
                socket.sendall(packed)
            for left in reversed(range(answers)):
                answer = gets()
                # Over RESP3 a server also sends what nobody asked, as a notice of maintenance.
                while answer is False or answer.__class__ is unasked:
                    if answer is False:
                        reader.feed(self._receive(socket))
                    answer = gets()
                if not left and reader.has_data() and not isinstance(gets(), unasked):
                    raise InvalidResponse("The server answered more than it was asked")
                yield answer
        except TimeoutError as error:
            raise RedisTimeoutError("The server did not answer in time") from error
        except OSError as error:
            raise RedisConnectionError(str(error)) from error

    def _receive(self, socket: Any) -> bytes:
        socket.settimeout(0)
        try:
            received: bytes = socket.recv(_RECEIVE_BYTES)  # what is there already was not waited for
        except _NOTHING_YET:
            socket.settimeout(self._left())
            with self._waited:
                received = socket.recv(_RECEIVE_BYTES)
        if not received:
            raise RedisConnectionError("The server closed the connection")
        self._received += len(received)
        if self._received > _MOST_BYTES:
            raise InvalidResponse(f"The server answered more than {_MOST_BYTES} bytes")
        return received

    def _left(self) -> float:
        left = self._seconds - self._waited.seconds()
        if left <= 0:
            raise TimeoutError
        return left
