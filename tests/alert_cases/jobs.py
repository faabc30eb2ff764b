"""Cases of dashboards/alerts/jobs.py."""

from tests.alert_cases.case import Case, Fires, Firing, Silent

_Q = {"queue": "q"}


def _ended(outcome: str, values: str, function: str = "f") -> dict[str, str]:
    return {f'rq_jobs_processed_total{{queue="q", function="{function}", outcome="{outcome}"}}': values}


def _rest(zeros: str = "0x1600") -> dict[str, str]:
    """Zeros for all other outcomes, as the exporter shows them; while it sees the function at all."""
    others: dict[str, str] = {}
    for outcome in ("succeeded", "failed", "retried", "stopped", "abandoned", "rate_limited"):
        others |= _ended(outcome, zeros)
    return {
        **others,
        'rq_jobs{queue="q", status="queued"}': "0x1600",
        'rq_job_retries_total{queue="q"}': "0x1600",
        'rq_work_horses_killed_total{queue="q"}': "0x1600",
    }


_RETRIES = 'rq_job_retries_total{queue="q"}'
_KILLED = 'rq_work_horses_killed_total{queue="q"}'
_STARTED = 'rq_jobs{queue="q", status="started"}'
_TWENTY_FAIL = _ended("failed", "0x11 0+2x10 20x1500")

CASES: tuple[Case, ...] = (
    Fires(
        alert="RQJobHighFailRate",
        labels=_Q,
        # One in eight fails, a job each 5 seconds. The objective of 2% burns at 6.25.
        series={**_rest(), **_ended("succeeded", "0+0.7x800"), **_ended("failed", "0+0.1x800")},
        at=430,
        says=(
            "Jobs of q fail",
            "12.5% of the executions in q in 15 minutes left their job failed for good.",
        ),
    ),
    Fires(
        alert="RQJobHighFailRate",
        labels=_Q,
        series={**_rest(), **_ended("succeeded", "0+7x800"), **_ended("failed", "0+1x800")},
        step=60,
        at=3600,
        no_edge=True,
        also=[Firing(alert="RQErrorSLOBurnSlow", labels=_Q)],
        says=(
            "Jobs of q fail",
            "12.5% of the executions in q in 15 minutes left their job failed for good.",
        ),
    ),
    Silent(
        alert="RQJobHighFailRate",
        why="8% fail",
        series={**_rest(), **_ended("succeeded", "0+0.92x800"), **_ended("failed", "0+0.08x800")},
        at=900,
    ),
    Silent(
        alert="RQJobHighFailRate",
        why="19 executions in all, each of which failed",
        series={**_rest(), **_ended("failed", "0x11 0+1x19 19x1500")},
        at=500,
    ),
    Silent(
        alert="RQJobHighFailRate",
        why="half of them meet a rate limit, and run again",
        series={
            **_rest(),
            **_ended("succeeded", "0+1x800"),
            **_ended("rate_limited", "0+1x800"),
            _RETRIES: "0+1x800",
        },
        at=900,
    ),
    Fires(
        alert="RQRetryStorm",
        labels=_Q,
        series={
            **_rest(),
            **_ended("succeeded", "0+0.4x800"),
            **_ended("retried", "0+0.6x800"),
            _RETRIES: "0+0.6x800",
        },
        at=400,
        says=(
            "q is busy with retries",
            "60% of the executions in q in 15 minutes raised and are to run again.",
        ),
    ),
    Silent(
        alert="RQRetryStorm",
        why="all are retried for a while, when next to nothing runs",
        series={
            **_rest(),
            **_ended("succeeded", "0x150 0+2x650"),
            **_ended("retried", "0+0.1x149 15x650"),
            _RETRIES: "0+0.1x149 15x650",
        },
        at=1050,
    ),
    Silent(
        alert="RQRetryStorm",
        why="a failover lost one of those that were counted long ago",
        series={
            **_rest(),
            **_ended("succeeded", "9000+0.2x800"),
            **_ended("retried", "500x100 499x700"),
            _RETRIES: "500x800",
        },
        at=900,
    ),
    Silent(
        alert="RQJobHighFailRate",
        why="a failover lost one of those that were counted long ago, and one fails now",
        series={
            **_rest(),
            **_ended("succeeded", "9000+0.2x800"),
            **_ended("failed", "500x100 499x5 500x700"),
        },
        at=900,
    ),
    Silent(
        alert="RQRetryStorm",
        why="half of the executions are retried",
        series={
            **_rest(),
            **_ended("succeeded", "0+1x800"),
            **_ended("retried", "0+1x800"),
            _RETRIES: "0+1x800",
        },
        at=900,
    ),
    Fires(
        alert="RQJobRunningTooLong",
        labels=_Q,
        series={**_rest(), **_ended("succeeded", "0+1x9 9x400"), _STARTED: "0x9 1x400"},
        step=60,
        at=4260,
        says=(
            "Jobs of q run without end",
            "1 jobs or more of q have run for over an hour, and none ended meanwhile.",
        ),
    ),
    Silent(
        alert="RQJobRunningTooLong",
        why="jobs ran throughout, and one ended",
        series={**_rest(), **_ended("succeeded", "9x60 10x400"), _STARTED: "1x400"},
        step=60,
        at=7000,
    ),
    Silent(
        alert="RQJobRunningTooLong",
        why="one ended while nobody looked",
        series={
            **_rest(),
            **_ended("succeeded", "9x30 _x40 10x400"),
            _STARTED: "1x30 _x40 1x400",
            "rq_redis_up": "1x30 _x40 1x400",
        },
        step=60,
        at=4500,
    ),
    Silent(
        alert="RQJobRunningTooLong",
        why="one is seen for less than an hour, of a queue whose jobs ended before",
        series={**_rest(), **_ended("succeeded", "9x400"), _STARTED: "_x30 1x400"},
        step=60,
        at=4500,
    ),
    Silent(
        alert="RQJobRunningTooLong",
        why="it has run for less than an hour",
        series={**_rest(), **_ended("succeeded", "9x400"), _STARTED: "0x9 1x400"},
        step=60,
        at=4100,
    ),
    Fires(
        alert="RQJobsAbandoned",
        labels=_Q,
        # The first execution that Prometheus ever saw of the function.
        series={
            **_rest(),
            **_ended("abandoned", "_x59 1x100", "unknown"),
            **_ended("succeeded", "_x59 0x100", "unknown"),
        },
        at=295,
        says=(
            "Jobs of q lost their worker",
            "1 executions in q were given up in 15 minutes, as their worker was gone.",
        ),
    ),
    Silent(
        alert="RQJobsAbandoned",
        why="they were before",
        series={**_rest(), **_ended("abandoned", "394x300")},
        at=900,
    ),
    Silent(
        alert="RQJobsAbandoned",
        why="their process alone was killed, which has its own alert",
        series={**_rest(), **_ended("abandoned", "0x59 2x100"), _KILLED: "0x59 2x100"},
        at=300,
        also=[Firing(alert="RQHorsesKilled", labels=_Q)],
    ),
    Silent(
        alert="RQJobsAbandoned",
        why="Redis was away for a while",
        series={
            **_rest(),
            "rq_redis_up": "1x59 0x4 1x200",
            **_ended("abandoned", "7x59 _x4 7x200"),
            _KILLED: "1x59 _x4 1x200",
        },
        at=400,
    ),
    Fires(
        alert="RQJobsUnaccounted",
        series={"rq_jobs_unaccounted": "0x11 2 0x300"},
        at=120,
        says=(
            "Jobs are lost in Redis",
            "2 of the jobs that one scrape looked for are nowhere. They will never run, and others may "
            "share their "
            "fate.",
        ),
    ),
    Silent(alert="RQJobsUnaccounted", why="none is lost", series={"rq_jobs_unaccounted": "0x300"}, at=900),
    Fires(
        alert="RQFunctionSilent",
        labels={"queue": "q", "function": "f"},
        # For a day, then an hour without one; the last is in the average for an hour and 5 minutes.
        series={**_rest(), **_ended("succeeded", "0+2x719 1438x100")},
        step=120,
        at=90900,
        no_edge=True,
        says=(
            "f does not run any more",
            "f in q ran in every hour of the last day, and in the last one not at all.",
        ),
    ),
    Silent(
        alert="RQFunctionSilent",
        why="the stack was stopped for the night",
        series={
            **_rest("0x720 _x240 0x100"),
            **_ended("succeeded", "0+2x720 _x240 1440x100"),
            'up{job="rq-exporter", instance="rq-exporter"}': "1x720 _x240 1x100",
            "rq_redis_up": "1x720 _x240 1x100",
        },
        step=120,
        at=117600,
    ),
    Silent(
        alert="RQFunctionSilent",
        why="it is new, and ran for two hours",
        series={**_rest("_x600 0x200"), **_ended("succeeded", "_x600 0+2x60 120x100")},
        step=120,
        at=86000,
    ),
    Silent(
        alert="RQFunctionSilent",
        why="it runs by day alone",
        series={**_rest(), **_ended("succeeded", "0+2x359 720x200 720+2x200 1120x100")},
        step=120,
        at=96000,
    ),
)
