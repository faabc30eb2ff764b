"""Connections that outlive a failover, and a worker's own."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from redis import BlockingConnectionPool, Connection, ConnectionPool, Redis
from redis.exceptions import RedisError
from redis.sentinel import SentinelConnectionPool
from rq.connections import get_connection_kwargs

from scheduler.connections.refusals import is_replica

T = TypeVar("T")

# More than any worker uses; redis-py 8 would stop at 100, a worker of that many queues needs more.
_CONNECTIONS = 1000


class _Reconnecting:
    """A connection that reconnects once its server has said that it is a replica.

    After a failover the old primary lives on and keeps its connections open. A new connection follows the
    name to the new primary.
    """

    _replica = False

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)  # type: ignore[misc]  # a connection's
        except RedisError as error:
            # Not at once: a pipeline reads the rest of its answers.
            self._replica = self._replica or is_replica(error)
            raise

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        if self._replica:
            self._replica = False
            self.disconnect()  # type: ignore[attr-defined]  # a connection's
        super().send_packed_command(*args, **kwargs)  # type: ignore[misc]  # a connection's


@functools.cache
def reconnecting(connection_class: type) -> type:
    """Return a class of connections that leave a server when it turns out to be a replica."""
    return type(f"Reconnecting{connection_class.__name__}", (_Reconnecting, connection_class), {})


def drop_idle(connection: Redis) -> None:
    """Close a client's idle connections, so that its next command resolves the server's name again."""
    pool: Any = connection.connection_pool
    if not isinstance(pool, BlockingConnectionPool):
        pool.disconnect(inuse_connections=False)
        return
    # redis-py 5 would disconnect those in use too. The lock keeps others from taking one being closed.
    with pool.pool.mutex:
        for idle in pool.pool.queue:
            if idle is not None:  # None is an empty place
                idle.disconnect()


def on_primary(connection: Redis, write: Callable[[], T]) -> T:
    """Do something that writes; repeat it once, on a new connection, if the server has become a replica.

    A replica does nothing that it refuses, so nothing is done twice.
    """
    try:
        return write()
    except RedisError as error:
        if not is_replica(error):
            raise
    drop_idle(connection)
    return write()


def worker_connection(connection: Redis) -> Redis:
    """Return a separate client for a worker, on the same server and database; closing it disconnects it.

    RQ raises the socket timeout of its worker's pool, to wait for jobs. On the shared pool, every other
    caller could hang for minutes too. The caller's limit on connections does not apply here.
    """
    pool: Any = connection.connection_pool
    kwargs = get_connection_kwargs(connection)  # what makes a connection, without the pool's own state
    kwargs["socket_timeout"] = None
    if issubclass(pool.connection_class, Connection):  # TCP or TLS, not a Unix socket
        kwargs["socket_keepalive"] = True
    own: ConnectionPool
    if isinstance(pool, SentinelConnectionPool):
        del kwargs["connection_pool"]  # where its connections ask for the primary's address
        own = SentinelConnectionPool(  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            pool.service_name,
            pool.sentinel_manager,
            is_master=pool.is_master,
            check_connection=pool.check_connection,
            connection_class=pool.connection_class,
            max_connections=_CONNECTIONS,
            **kwargs,
        )
    else:
        # A subclass may take other arguments; RQ's own child processes don't use it either.
        same = type(pool).__init__ is ConnectionPool.__init__
        own = (type(pool) if same else ConnectionPool)(
            connection_class=pool.connection_class, max_connections=_CONNECTIONS, **kwargs
        )
    return Redis.from_pool(own)
