"""The options of rq-scheduler's `cron()`: those with a meaning here, and what to do about the others."""

from typing import Any, cast

from scheduler.cron.entries import CronOptions
from scheduler.errors import CronError

_REFUSED = {
    "at_front": "a slot's job goes to the end of its queue: give urgent jobs a queue of their own",
    "depends_on": "a slot's job waits for no other job: let that job schedule it",
    "meta": "a slot's job has its own meta: pass what it needs in kwargs",
    "on_failure": "the job itself can catch what it raises; alerts report failures",
    "on_success": "the job itself can do it when it ends",
    "repeat": "an entry repeats until it is removed",
    "result_ttl": "results are kept as long as RQ keeps them, 500 s",
    "ttl": "a slot's job waits until it runs: overlap='skip' keeps jobs from piling up",
    "use_local_timezone": "give timezone, for example timezone='Europe/London'",
}


def translated(options: CronOptions) -> CronOptions:
    """Return the options under this package's names; those that are None or False are left out.

    Raises:
        CronError: An option has no meaning here, or an id is given twice.
    """
    given: dict[str, Any] = dict(options)
    for name, word in _REFUSED.items():
        if (value := given.pop(name, None)) is not None and value is not False:
            raise CronError(f"A cron entry takes no {name}: {word}")
    if (id_ := given.pop("id", None)) is not None:
        if "cron_id" in given:
            raise CronError("id and cron_id are two names for one thing: give one")
        given["cron_id"] = id_
    return cast(CronOptions, given)
