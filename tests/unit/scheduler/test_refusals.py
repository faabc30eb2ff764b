"""Which redis-py errors mean that Redis answers but refuses."""

import pytest
from redis import exceptions

from scheduler.connections.refusals import describe, is_replica, refusal


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (exceptions.ReadOnlyError("You can't write against a read only replica."), "READONLY"),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), "LOADING"),
        (exceptions.NoPermissionError("this user has no permissions to run the 'sort' command"), "NOPERM"),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), "OOM"),
        (exceptions.ResponseError("MISCONF Valkey is configured to save RDB snapshots"), "MISCONF"),
        (exceptions.ResponseError("BUSY Valkey is busy running a script."), "BUSY"),
        (
            exceptions.ResponseError("Command # 1 (HSET a b c) of pipeline caused error: MISCONF Errors"),
            "MISCONF",
        ),
        (exceptions.ConnectionError("Connection refused"), None),
        (exceptions.TimeoutError("Timeout reading from socket"), None),
        (exceptions.ResponseError("WRONGTYPE Operation against a key"), None),
        (exceptions.ConnectionError("MISCONF"), None),
    ],
)
def test_a_refusal_is_told_apart_from_silence(error, code):
    assert refusal(error) == code
    assert ("does not answer" in describe(error)) == (
        code is None and not isinstance(error, exceptions.ResponseError)
    )
    assert code is None or f"({code})" in describe(error)


@pytest.mark.parametrize(
    ("error", "replica"),
    [
        (exceptions.ReadOnlyError("You can't write against a read only replica."), True),
        (exceptions.MasterDownError("Link with MASTER is down"), True),
        (
            exceptions.ResponseError(
                "UNBLOCKED force unblock from blocking operation, instance state changed"
            ),
            True,
        ),
        (
            exceptions.ConnectionError("The previous master is now a slave"),
            True,
        ),  # on a Sentinel connection
        (exceptions.OutOfMemoryError("command not allowed"), False),
        (exceptions.ConnectionError("Connection refused"), False),
    ],
)
def test_a_new_connection_may_lead_from_a_replica_to_the_primary(error, replica):
    assert is_replica(error) == replica
