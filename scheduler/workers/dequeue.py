"""Takes a job so that it is always in some list, and removes it from that list again.

From several queues RQ takes a job with BLPOP, and if the worker is killed at that moment the job is lost.
Here each job goes from its queue to that queue's intermediate list. RQ's maintenance finds jobs left there
and fails those without retries, though they never ran. So a signal to stop waits until no job is held, and a
job that can't be read, because Redis drops the connection or refuses, goes back to its queue.
"""

import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any, cast

from redis import Redis
from redis.exceptions import RedisError, ResponseError
from rq import Queue
from rq.exceptions import DequeueTimeout, StopRequested
from rq.intermediate_queue import IntermediateQueue

from scheduler.workers.persistence import START_PATIENCE_SECONDS, insist

# Waiting needs a connection per queue, so only this many queues are waited for. The others are polled in
# turn.
_WAITED_FOR = 32
_TURN_SECONDS = 1

_UNBLOCK_SECONDS = 2

# Only needed if another worker took the job first. Redis takes up to 0.1 s to end such a wait.
_TAKEN_SECONDS = 0.01

# Back to the front of its queue, so that no job overtakes it, and out of the list that RQ's maintenance
# checks.
_GIVE_BACK = """
if redis.call('LREM', KEYS[2], 1, ARGV[1]) == 1 then
  redis.call('LPUSH', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[3])
end
"""


class Taking:
    """Knows whether a worker may hold a job that it has not begun, and tells it to stop at the right time."""

    def __init__(self) -> None:
        self._holds = self._told_to_stop = False
        self._answers: SimpleQueue[_Wait | None] = SimpleQueue()

    def stop(self) -> bool:
        """Make the worker stop once it holds no job; False means that it holds none and may stop at once."""
        self._told_to_stop = self._holds
        self._answers.put(None)
        return self._holds

    def begin(self) -> None:
        """Note that the worker may hold a job from now on."""
        self._holds = True

    def end(self) -> None:
        """Note that the worker holds no job."""
        self._holds = False

    def is_told_to_stop(self) -> bool:
        """Whether the worker was told to stop while it held a job."""
        return self._told_to_stop

    def answers(self) -> "SimpleQueue[_Wait | None]":
        """Return the queue into which waits put their answers from now on; None in it means: stop."""
        self._answers = SimpleQueue()
        self.check()
        return self._answers

    def check(self) -> None:
        """Raise StopRequested if the worker was told to stop; it holds no job yet."""
        if self._told_to_stop:
            raise StopRequested


class _Wait:
    """A thread that waits for one queue, on its own connection."""

    def __init__(self, connection: Redis, queue_key: str, answers: "SimpleQueue[_Wait | None]") -> None:
        self.queue_key = queue_key
        self.job_id: bytes | None = None
        self.error: BaseException | None = None
        self._client = Redis(connection_pool=connection.connection_pool, single_connection_client=True)
        # Not through the client, which may reconnect and wait again by itself when it is cut off.
        self._socket = cast(Any, self._client.connection)
        self._socket.send_command("CLIENT", "ID")
        self._id = self._socket.read_response()
        self._answers = answers
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, timeout: int) -> None:
        """Wait for a job, and put the result into `answers`."""
        self._timeout = timeout
        self._thread.start()

    def stop(self, asking: Any) -> None:
        """End the wait over another connection. A job that came meanwhile is then in `answers`."""
        while self._thread.is_alive():
            if not _unblock(asking, self._id):
                # Redis is away, or the user lacks the right to do this. A job that came at this very moment
                # stays in the intermediate list for RQ's maintenance.
                self._socket.disconnect()
                self._thread.join()
            self._thread.join(timeout=0.05)  # it may go on if its command was not sent yet
        self._client.close()

    def _run(self) -> None:
        keys = self.queue_key, _intermediate(self.queue_key)
        try:
            self._socket.send_command("BLMOVE", *keys, "LEFT", "RIGHT", self._timeout)
            self.job_id = self._socket.read_response()
        except BaseException as error:  # noqa: BLE001  # it is raised where the answer is awaited
            self.error = error
        self._answers.put(self)


def _unblock(asking: Any, client_id: int) -> bool:
    """End a client's wait; return False if Redis did not. A worker told to stop may be killed soon."""
    if asking._sock is None:  # Redis did not answer before, and connecting may take half a minute
        return False
    try:
        asking.send_command("CLIENT", "UNBLOCK", client_id)
        if asking.can_read(timeout=_UNBLOCK_SECONDS):
            asking.read_response()
            return True
    except ResponseError:
        return False
    except RedisError:
        pass
    asking.disconnect()
    return False


def _intermediate(queue_key: str) -> str:
    return IntermediateQueue.get_intermediate_queue_key(queue_key)


def _give_back(connection: Redis, queue_key: str, job_id: str) -> None:
    intermediate = IntermediateQueue(queue_key, connection)
    client: Any = connection
    client.eval(_GIVE_BACK, 3, queue_key, intermediate.key, intermediate.get_first_seen_key(job_id), job_id)


def _take(connection: Redis, queue_keys: Sequence[str]) -> tuple[bytes, bytes] | None:
    """Take the first job of the first queue that has one."""
    client: Any = connection
    if len(queue_keys) == 1:
        job_id = client.blmove(queue_keys[0], _intermediate(queue_keys[0]), _TAKEN_SECONDS)
        return (queue_keys[0].encode(), job_id) if job_id else None
    while True:
        with client.pipeline(transaction=False) as pipe:
            for key in queue_keys:
                pipe.exists(key)
            filled = pipe.execute()
        queue_key = next((key for key, exists in zip(queue_keys, filled, strict=True) if exists), None)
        if queue_key is None:
            return None
        if job_id := client.blmove(queue_key, _intermediate(queue_key), _TAKEN_SECONDS):
            return queue_key.encode(), job_id


def _await(
    connection: Redis, queue_keys: Sequence[str], *, timeout: int, taking: Taking
) -> tuple[bytes, bytes] | None:
    """Wait for a job in any of the queues and take it; None when none came in time."""
    answers = taking.answers()
    waits: list[_Wait] = []
    chosen: _Wait | None = None
    asking = connection.connection_pool.get_connection()  # while Redis answers
    try:
        for queue_key in queue_keys:
            waits.append(_Wait(connection, queue_key, answers))
        for wait in waits:
            wait.start(timeout)
        for _ in waits:
            answer = answers.get()
            if answer is None:
                raise StopRequested
            if answer.error is not None:
                raise answer.error
            if answer.job_id is not None:
                break
        for wait in waits:
            wait.stop(asking)
        chosen = next((wait for wait in waits if wait.job_id is not None), None)
    finally:
        for wait in waits:
            wait.stop(asking)
            # Two jobs came at once, or this worker was told to stop.
            if wait is not chosen and wait.job_id is not None:
                _give_back(connection, wait.queue_key, wait.job_id.decode())
        connection.connection_pool.release(asking)
    return (chosen.queue_key.encode(), chosen.job_id) if chosen and chosen.job_id else None


class _Keeping(Queue):
    """A queue whose jobs are always in some list while a worker takes them, even from several queues."""

    taking: Taking

    @classmethod
    def dequeue_any(
        cls, queues: Any, timeout: int | None, connection: Redis, *args: Any, **kwargs: Any
    ) -> Any:
        """Take the first job of these queues; return it and its queue. A job that can't be read goes back."""
        try:
            return super().dequeue_any(queues, timeout, connection, *args, **kwargs)
        except RedisError as error:
            if job_id := getattr(error, "job_id", None):  # the job that RQ has taken
                queue = cast(Any, error).queue
                insist(
                    connection,
                    lambda _again: _give_back(connection, queue.key, job_id),
                    patience=START_PATIENCE_SECONDS,
                    stopping=cls.taking.is_told_to_stop,
                )
            raise

    @classmethod
    def lmove(cls, connection: Redis, queue_key: str, timeout: int | None) -> tuple[bytes, bytes] | None:
        """Take the first job of one queue; otherwise as `lpop`."""
        return cls.lpop([queue_key], timeout, connection)

    @classmethod
    def lpop(
        cls, queue_keys: Sequence[str], timeout: int | None, connection: Redis | None = None
    ) -> tuple[bytes, bytes] | None:
        """Move the first job of these queues to its queue's intermediate list, and hold it until it begins.

        Args:
            queue_keys: The queues' keys; the first queue's jobs go first.
            timeout: How many seconds to wait for a job; None means not at all.
            connection: The connection to the queues' Redis.

        Raises:
            DequeueTimeout: No job came in time.
            StopRequested: The worker was told to stop meanwhile; no job is held.
        """
        if connection is None:
            raise ValueError("RQ always passes a connection")
        cls.taking.begin()
        taken = None
        try:
            cls.taking.check()
            taken = _take(connection, queue_keys)
            if taken is None and timeout is not None:
                few = queue_keys[:_WAITED_FOR]
                if len(few) < len(queue_keys):
                    timeout = min(timeout, _TURN_SECONDS)
                taken = _await(connection, few, timeout=timeout, taking=cls.taking)
        finally:
            if taken is None:
                cls.taking.end()
        if taken is None:
            cls.taking.check()
            if timeout is not None:
                raise DequeueTimeout(timeout, queue_keys)
        return taken


def keeping(queue_class: type[Queue], taking: Taking) -> type[Queue]:
    """Subclass a queue class so that no job is lost if a worker is killed or stopped while taking it."""
    return type(queue_class.__name__, (_Keeping, queue_class), {"taking": taking})
