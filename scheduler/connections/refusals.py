"""Tells a Redis that answers but refuses from one that does not answer."""

from redis import exceptions

# redis-py strips the code from errors that have a class, and keeps it in the text of the others.
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
    "READONLY": "it is a replica and accepts no writes: point RQ_REDIS_URL at the primary",
    "LOADING": "it is loading its data: wait until it is done",
    "MASTERDOWN": "it is a replica that lost its primary: bring the primary back",
    "NOPERM": "the user of RQ_REDIS_URL lacks a right: docs/reference/redis.md lists what each part needs",
    "OOM": "its memory is full: raise maxmemory or purge jobs",
    "MISCONF": "it can't save to disk and accepts no writes: free disk space or look in its log",
    "BUSY": "it is running a long script: wait, or send it SCRIPT KILL",
    "NOAUTH": "it wants a user and password, or different ones: check RQ_REDIS_URL",
    "NOREPLICAS": "too few of its replicas answer: bring them back",
    "UNBLOCKED": "it became a replica while a worker waited for jobs: point RQ_REDIS_URL at the primary",
}
# The primary has moved: the name in the URL, or Sentinel, leads to it.
_REPLICA = ("READONLY", "MASTERDOWN", "UNBLOCKED")
_SENTINEL_SAYS = "The previous master is now a slave"  # redis-py's ConnectionError instead of READONLY
CODES = tuple(_MEANINGS)
# With these Redis refuses only writes; reads are answered.
WRITE_CODES = ("READONLY", "OOM", "MISCONF", "NOREPLICAS")


def refusal(error: BaseException) -> str | None:
    """The code with which Redis refused, for example READONLY; None if it did not answer.

    None also for an error in the command itself, such as WRONGTYPE, which waiting does not mend.
    """
    for class_, code in _CLASSES.items():
        if isinstance(error, class_):
            return code
    # In a pipeline redis-py puts "Command # 1 (...) of pipeline caused error: " before the error's text.
    text = str(error).rpartition("caused error: ")[2]
    code = text.split(" ", 1)[0]
    return code if isinstance(error, exceptions.ResponseError) and code in _MEANINGS else None


def is_replica(error: BaseException) -> bool:
    """Whether Redis refused because it is a replica: then a new connection may lead to the primary."""
    return refusal(error) in _REPLICA or str(error) == _SENTINEL_SAYS


def meaning(code: str) -> str:
    """One sentence for people: what this refusal means, and what to do."""
    return f"Redis refuses ({code}): {_MEANINGS[code]}"


def describe(error: Exception) -> str:
    """One sentence for people: what Redis did, and what to do."""
    code = refusal(error)
    if code is not None:
        return meaning(code)
    if isinstance(error, exceptions.ResponseError):
        return f"Redis answers with an error: {error}"
    return f"Redis does not answer ({error}): check RQ_REDIS_URL"
