"""The jobs of drills, as workers import them."""

from redis import Redis
from rq import get_current_job

from scheduler import RateLimit

# While this key is there, the service that jobs call is down.
DOWN = "rqmon:drill:down"


class ServiceDownError(Exception):
    """What a job calls does not answer."""


def call_service(ballast: bytes = b"") -> int:
    """Call a service that may be down.

    Raises:
        ServiceDownError: It is.
    """
    if _connection().exists(DOWN):
        raise ServiceDownError("the service that this job calls is down")
    return len(ballast)


def call_limited() -> None:
    """Call a service that allows one call a minute.

    Raises:
        TooManyRequests: The limit was reached.
    """
    with RateLimit("drill", "drill", 1, 60, connection=_connection()):
        pass


def run_steadily() -> None:
    """Do nothing, at all times."""


def _connection() -> Redis:
    job = get_current_job()
    if job is None:
        raise RuntimeError("this function is a job: queue it")
    return job.connection
