"""How much is too much: each threshold once, for panels and for alerts; objectives are people's own.

Values only, with their units: colours are the dashboards', and `for` and windows are the alerts'.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """From which values on a number is worth a look, and from which on somebody has to act.

    Attributes:
        unit: Of both values; a share is between 0 and 1.
        warning: Worth a look from here on; None where it is critical at once.
        critical: To be acted on from here on; None where a look is enough.
        alert: Where an alert looks at minutes or hours of it and fires from another value on.
        meaning: What the number is, in a sentence.
    """

    unit: str
    warning: float | None
    critical: float | None
    alert: float | None = None
    meaning: str

    @property
    def warns_from(self) -> float:
        """The first value that is worth a look; critical ones are too."""
        return self.acts_from if self.warning is None else self.warning

    @property
    def acts_from(self) -> float:
        """The first value to be acted on; infinite where a look is enough."""
        return math.inf if self.critical is None else self.critical


# A month's budget is gone in two days at the first, in five at the second.
FAST_BURN, SLOW_BURN = 14.4, 6.0
BURN_RATE = Threshold(
    unit="times",
    warning=1,
    critical=FAST_BURN,
    meaning="Late executions by those allowed.",
)

QUEUED_JOBS = Threshold(
    unit="jobs",
    warning=100,
    critical=1000,
    meaning="Jobs that wait for a worker.",
)
OVERDUE_JOBS = Threshold(
    unit="jobs",
    warning=100,
    critical=1000,
    meaning="Scheduled jobs whose time has come and that are not queued.",
)
SCHEDULED_DELAY = Threshold(
    unit="seconds",
    warning=5,
    critical=60,
    meaning="How far behind its time the most overdue scheduled job is.",
)
FAILED_JOBS = Threshold(
    unit="jobs",
    warning=1,
    critical=100,
    meaning="Failed jobs that Redis still holds.",
)
INTERMEDIATE_JOBS = Threshold(
    unit="jobs",
    warning=10,
    critical=100,
    meaning="Jobs between their queue and their start.",
)
OLDEST_JOB_AGE = Threshold(
    unit="seconds",
    warning=30,
    critical=300,
    meaning="How long the first job of a queue has waited.",
)
DRAIN_TIME = Threshold(
    unit="seconds",
    warning=60,
    critical=300,
    alert=3600,
    meaning="How long a queue needs to get empty at its present pace.",
)
FAILING_SHARE = Threshold(
    unit="share",
    warning=0.01,
    critical=0.05,
    alert=0.1,
    meaning="Executions that left their job failed for good, among all.",
)
RETRIED_SHARE = Threshold(
    unit="share",
    warning=0.2,
    critical=0.5,
    meaning="Executions after which the job runs again, among all.",
)
REFUSED_SHARE = Threshold(
    unit="share",
    warning=0.2,
    critical=0.5,
    alert=0.95,
    meaning="Requests that rate limits refused, among all.",
)
BUSY_SHARE = Threshold(
    unit="share",
    warning=0.8,
    critical=0.95,
    alert=0.9,
    meaning="How much of their time the busiest workers spend in jobs.",
)
CRON_OVERDUE = Threshold(
    unit="seconds",
    warning=None,
    critical=15,
    alert=60,
    meaning="How far in the past an entry's next run lies; three scrapes, as a number is up to one old.",
)
REDIS_MEMORY_SHARE = Threshold(
    unit="share",
    warning=0.75,
    critical=0.9,
    meaning="Memory used, of what Redis may use (maxmemory).",
)
SCRAPE_DURATION = Threshold(
    unit="seconds",
    warning=1,
    critical=3,
    meaning="The slowest target's scrape. The exporter gives up on Redis after 1.5 s, Prometheus after 4 s.",
)
PROMETHEUS_SERIES = Threshold(
    unit="series",
    warning=1_000_000,
    critical=None,
    meaning="Series that Prometheus holds in memory, some 4 kB each.",
)
# Below it, not above: a Redis that has just started.
REDIS_YOUNG_SECONDS = 300

# What alerts alone compare with.

# Errors of one reason in 5 minutes; one lost scrape is no news.
SCRAPE_ERRORS = 3
# Without an append-only file: twice the longest pause between snapshots that Redis's own settings make.
SNAPSHOT_AGE_SECONDS = 7200
# Fewer executions than this say nothing about a share.
LEAST_EXECUTIONS = 20
# Of the last day, in hours of which a function ran.
STEADY_SHARE = 0.9
# RQ lets a worker's key live at least 60 s longer than it takes to the next sign of life. With half of that
# gone, one is overdue by 30 s, whatever the worker's own interval is.
OVERDUE_WITH_SECONDS_LEFT = 30
# Late or skipped slots of one entry within an hour.
CRON_SLOTS = 3
