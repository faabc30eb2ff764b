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
# Ten times the size of 50,000 pairs: a server that sends more would never end.
_MOST_BYTES = 1 << 27
_NOTHING_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def pack(*arguments: str | bytes | int) -> bytes:
    """Encode one command for the wire."""
    packed: bytes = hiredis.pack_command(arguments)  # type: ignore[arg-type]  # takes any number of them
    return packed


def pairs(answer: Any) -> dict[bytes, Any]:
    """Return the fields and values of a hash, or the members and scores of a sorted set; for None, nothing.

    RESP2 answers both with a flat list, RESP3 with a map and a list of pairs.
    """
    if isinstance(answer, dict):
        return answer
    if answer and isinstance(answer[0], list):
        return dict(answer)
    flat = iter(answer or [])
    return dict(zip(flat, flat, strict=True))


class Waited:
    """How long one scrape has waited for Redis so far, without the exporter's own work.

    The waiting thread enters it as a context; another thread may read it meanwhile.
    """

    def __init__(self) -> None:
        # One value, so that no reader sees half a change: the past waits, and when the current one began.
        self._state: tuple[float, float | None] = (0.0, None)

    def __enter__(self) -> None:
        self._state = (self._state[0], time.monotonic())

    def __exit__(self, *_: object) -> None:
        self._state = (self.seconds(), None)

    def seconds(self) -> float:
        """Return the time of all waits, including the current one."""
        over, since = self._state
        return over if since is None else over + time.monotonic() - since


class RoundTrips:
    """A connection of the client's pool for the time of one scrape.

    redis-py handles each answer of a pipeline by itself in Python: 38 ms for 7,000 answers, of which the
    parser needs 2. So this class reads the connection's socket itself.

    Args:
        client: The server's client.
        seconds: The longest time to wait for the server, connecting included, however slowly answers come.
            Parsing them is the exporter's own time, long on a loaded machine, and does not count.
        waited: Records each wait.
    """

    def __init__(self, client: Redis, *, seconds: float, waited: Waited | None = None) -> None:
        self._pool, self._seconds = client.connection_pool, seconds
        self._waited = waited or Waited()
        self._received = 0

    def __enter__(self) -> "RoundTrips":
        with self._waited:
            # Reconnects if the server has closed the connection meanwhile.
            try:
                self._connection = self._pool.get_connection()
            except AttributeError as error:  # redis-py 8 takes whatever a greeting answers for a map
                raise InvalidResponse("The server does not greet as Redis does") from error
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if type_ is not None:
            self._connection.disconnect()  # answers may still be on their way
        elif socket := self._connection._sock:
            socket.settimeout(self._connection.socket_timeout)  # as redis-py had set it
        self._pool.release(self._connection)

    def ask(self, commands: Iterable[bytes], *, answers: int) -> Iterator[Any]:
        """Send packed commands and yield each answer as it comes, while the server works on the next ones.

        A failed command gives a `hiredis.ReplyError`. All answers have to be read.

        Raises:
            redis.ConnectionError: The server went away.
            redis.InvalidResponse: Its answer is invalid or endless.
            redis.TimeoutError: It did not answer in time.
        """
        if not answers:
            return
        socket = self._connection._sock  # redis-py has no public access to it
        reader = hiredis.Reader(protocolError=InvalidResponse)
        gets, unasked = reader.gets, hiredis.PushNotification  # looked up once: there are 12,000 answers
        try:
            packed = b"".join(commands)
            socket.settimeout(self._left())
            with self._waited:
                socket.sendall(packed)
            for left in reversed(range(answers)):
                answer = gets()
                # Over RESP3 a server may also send unrequested messages, such as maintenance notices.
                while answer is False or answer.__class__ is unasked:
                    if answer is False:
                        reader.feed(self._receive(socket))
                    answer = gets()
                if not left and reader.has_data() and not isinstance(gets(), unasked):
                    raise InvalidResponse("The server sent more answers than were asked for")
                yield answer
        except TimeoutError as error:
            raise RedisTimeoutError("The server did not answer in time") from error
        except OSError as error:
            raise RedisConnectionError(str(error)) from error

    def _receive(self, socket: Any) -> bytes:
        socket.settimeout(0)
        try:
            received: bytes = socket.recv(_RECEIVE_BYTES)  # data that is already there takes no waiting
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
