"""Tells a Redis that answers but refuses from one that does not answer."""

from redis import exceptions

# redis-py strips the code from errors that it has a class for, and keeps it in the text of the others.
_CLASSES: dict[type[Exception], str] = {
    exceptions.ReadOnlyError: "READONLY",
    exceptions.BusyLoadingError: "LOADING",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.NoPermissionError: "NOPERM",
    exceptions.OutOfMemoryError: "OOM",
    exceptions.AuthenticationError: "NOAUTH",
    exceptions.AuthorizationError: "NOAUTH",
}
_MEANINGS = {
    "READONLY": "it is a replica and takes no writes: point RQ_REDIS_URL at the primary",
    "LOADING": "it loads its data: wait until it has",
    "MASTERDOWN": "it is a replica that lost its primary: bring the primary back",
    "NOPERM": "the user of RQ_REDIS_URL lacks a right: docs/reference/redis.md lists what each part needs",
    "OOM": "its memory is full: raise maxmemory or purge jobs",
    "MISCONF": "it can't save to disk and takes no writes: free disk space or look into its log",
    "BUSY": "it runs a long script: wait, or send it SCRIPT KILL",
    "NOAUTH": "it wants a user and password, or other ones: check RQ_REDIS_URL",
    "NOREPLICAS": "too few of its replicas answer: bring them back",
    "UNBLOCKED": "it became a replica while a worker waited for jobs: point RQ_REDIS_URL at the primary",
}
# The primary is elsewhere by now: where the name in the URL, or Sentinel, leads.
_REPLICA = ("READONLY", "MASTERDOWN", "UNBLOCKED")
_SENTINEL_SAYS = "The previous master is now a slave"  # redis-py's ConnectionError in place of a READONLY
CODES = tuple(_MEANINGS)
# With these it refuses writes alone, and answers who reads.
WRITE_CODES = ("READONLY", "OOM", "MISCONF", "NOREPLICAS")


def refusal(error: BaseException) -> str | None:
    """The code with which Redis refused, for example READONLY; None where it did not answer.

    None is also the answer for an error in the command itself, such as WRONGTYPE: no waiting mends that.
    """
    for class_, code in _CLASSES.items():
        if isinstance(error, class_):
            return code
    # In a pipeline redis-py puts "Command # 1 (...) of pipeline caused error: " before an answer's text.
    text = str(error).rpartition("caused error: ")[2]
    code = text.split(" ", 1)[0]
    return code if isinstance(error, exceptions.ResponseError) and code in _MEANINGS else None


def is_replica(error: BaseException) -> bool:
    """Whether Redis refused because it is a replica, so that a new connection may lead to the primary."""
    return refusal(error) in _REPLICA or str(error) == _SENTINEL_SAYS


def meaning(code: str) -> str:
    """One sentence for people: that Redis refuses so, and what to do."""
    return f"Redis refuses ({code}): {_MEANINGS[code]}"


def describe(error: Exception) -> str:
    """One sentence for people: what Redis did, and what to do."""
    code = refusal(error)
    if code is not None:
        return meaning(code)
    if isinstance(error, exceptions.ResponseError):
        return f"Redis answers with an error: {error}"
    return f"Redis does not answer ({error}): check RQ_REDIS_URL"
