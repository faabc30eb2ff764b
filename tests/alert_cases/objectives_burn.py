"""Cases of dashboards/alerts/objectives.py: 99% of q wait at most 30 s, 90% of long 300 s; 2% may fail."""

from tests.alert_cases.case import Case, Fires, Firing, Silent

_Q = {"queue": "q"}


def _waits(queue: str, *, le: str, in_time: str, all_: str) -> dict[str, str]:
    where = f'queue="{queue}", function="f"'
    return {
        f'rq_jobs{{queue="{queue}", status="queued"}}': "0x1600",
        f'rq_job_wait_seconds_bucket{{{where}, le="{le}"}}': in_time,
        f'rq_job_wait_seconds_bucket{{{where}, le="+Inf"}}': all_,
        f"rq_job_wait_seconds_count{{{where}}}": all_,
        f'rq_jobs_processed_total{{{where}, outcome="succeeded"}}': all_,
    }


def _ends(succeeded: str, failed: str) -> dict[str, str]:
    of = 'queue="q", function="f"'
    zeros = dict.fromkeys(
        [
            f'rq_jobs_processed_total{{{of}, outcome="{outcome}"}}'
            for outcome in ("retried", "stopped", "abandoned", "rate_limited")
        ],
        "0x1600",
    )
    return {
        'rq_jobs{queue="q", status="queued"}': "0x1600",
        **zeros,
        'rq_job_retries_total{queue="q"}': "0x1600",
        f'rq_jobs_processed_total{{{of}, outcome="succeeded"}}': succeeded,
        f'rq_jobs_processed_total{{{of}, outcome="failed"}}': failed,
    }


CASES: tuple[Case, ...] = (
    Fires(
        alert="RQWaitSLOBurnFast",
        labels=_Q,
        # 20% of a job each 5 s are late: 20 times what is allowed.
        series=_waits("q", le="30.0", in_time="0+0.8x800", all_="0+1x800"),
        at=220,
        says=(
            "Jobs of q wait far too long",
            "In an hour q had 20.0 times the late executions that its objective allows. At 14.4 times a "
            "month's are used "
            "up in two days.",
        ),
    ),
    Silent(
        alert="RQWaitSLOBurnFast",
        why="14 times what is allowed",
        series=_waits("q", le="30.0", in_time="0+0.86x800", all_="0+1x800"),
        at=800,
    ),
    Silent(
        alert="RQWaitSLOBurnFast",
        why="another queue's jobs may wait longer, and more of them",
        series=_waits("long", le="300.0", in_time="0+0.8x800", all_="0+1x800"),
        at=900,
    ),
    Silent(
        alert="RQWaitSLOBurnFast",
        why="nineteen at night, all late",
        series=_waits("q", le="30.0", in_time="0x800", all_="0x300 19x500"),
        at=1700,
    ),
    Silent(
        alert="RQWaitSLOBurnFast",
        why="they were late, and have been in time for 10 minutes",
        series=_waits("q", le="30.0", in_time="0x400 0+1x400", all_="0+1x800"),
        at=2700,
        also=[Firing(alert="RQWaitSLOBurnSlow", labels=_Q)],
    ),
    Silent(
        alert="RQWaitSLOBurnFast",
        why="a failover lost one of those that were late long ago",
        series=_waits("q", le="30.0", in_time="4900+1x800", all_="5000+1x100 5099+1x700"),
        at=900,
    ),
    Fires(
        alert="RQWaitSLOBurnSlow",
        labels=_Q,
        series=_waits("q", le="30.0", in_time="0+0.92x800", all_="0+1x800"),
        step=60,
        at=2100,
        says=(
            "Jobs of q wait too long",
            "In 6 hours q had 8.0 times the late executions that its objective allows. At 6 times a month's "
            "are used up "
            "in five days.",
        ),
    ),
    Silent(
        alert="RQWaitSLOBurnSlow",
        why="5 times what is allowed",
        series=_waits("q", le="30.0", in_time="0+0.95x800", all_="0+1x800"),
        step=60,
        at=14400,
    ),
    Silent(
        alert="RQWaitSLOBurnSlow",
        why="they were late, and have been in time for 40 minutes",
        series=_waits("q", le="30.0", in_time="0+0.9x200 181+1x200", all_="0+1x400"),
        step=60,
        at=14400,
    ),
    Silent(
        alert="RQErrorSLOBurnFast",
        why="a failover lost one of those that were counted long ago",
        series=_ends("9000+0.2x800", "500x100 499x700"),
        at=900,
    ),
    Silent(
        alert="RQErrorSLOBurnFast",
        why="they failed, and have not for 10 minutes",
        series=_ends("0x400 0+1x400", "0+1x399 399x400"),
        at=2700,
        also=[
            Firing(alert="RQErrorSLOBurnSlow", labels=_Q),
            Firing(alert="RQJobHighFailRate", labels=_Q),
        ],
    ),
    Fires(
        alert="RQErrorSLOBurnFast",
        labels=_Q,
        # 40% fail: 20 times what is allowed.
        series=_ends("0+0.6x800", "0+0.4x800"),
        at=220,
        says=(
            "Far too many jobs of q fail",
            "In an hour q had 20.0 times the failures that its objective allows. At 14.4 times a month's "
            "are used up in "
            "two days.",
        ),
    ),
    Fires(
        alert="RQErrorSLOBurnFast",
        labels=_Q,
        series=_ends("0+0.6x800", "0+0.4x800"),
        at=600,
        no_edge=True,
        also=[Firing(alert="RQJobHighFailRate", labels=_Q)],
        says=(
            "Far too many jobs of q fail",
            "In an hour q had 20.0 times the failures that its objective allows. At 14.4 times a month's "
            "are used up in "
            "two days.",
        ),
    ),
    Silent(
        alert="RQErrorSLOBurnFast",
        why="28% fail, which is 14 times what is allowed",
        series=_ends("0+0.72x800", "0+0.28x800"),
        at=900,
        also=[Firing(alert="RQJobHighFailRate", labels=_Q)],
    ),
    Silent(
        alert="RQErrorSLOBurnFast",
        why="one execution at night, and it failed",
        series=_ends("0x800", "0x300 1x500"),
        at=1600,
    ),
    Fires(
        alert="RQErrorSLOBurnSlow",
        labels=_Q,
        # One in five fails, and there is one execution each 2 minutes: too few for RQJobHighFailRate.
        series=_ends("0+0.4x800", "0+0.1x800"),
        step=60,
        at=3300,
        says=(
            "Too many jobs of q fail",
            "In 6 hours q had 10.0 times the failures that its objective allows. At 6 times a month's are "
            "used up in five "
            "days.",
        ),
    ),
    Silent(
        alert="RQErrorSLOBurnSlow",
        why="one in ten fails, which is 5 times what is allowed",
        series=_ends("0+0.45x800", "0+0.05x800"),
        step=60,
        at=14400,
    ),
    Silent(
        alert="RQErrorSLOBurnSlow",
        why="a failover lost one of those that were counted long ago",
        series=_ends("9000+1x400", "500x100 499x300"),
        step=60,
        at=7500,
    ),
    Silent(
        alert="RQWaitSLOBurnSlow",
        why="a failover lost one of those that were late long ago",
        series=_waits("q", le="30.0", in_time="4900+1x400", all_="5000+1x100 5099+1x300"),
        step=60,
        at=7500,
    ),
    Silent(
        alert="RQErrorSLOBurnSlow",
        why="they failed, and have not for 40 minutes",
        series=_ends("0x200 0+1x200", "0+0.1x200 20x200"),
        step=60,
        at=14400,
    ),
    Fires(
        alert="RQWaitObjectiveUnmeasured",
        labels=_Q,
        series=_waits("q", le="60.0", in_time="0+1x800", all_="0+1x800"),
        at=605,
        says=(
            "Whether q keeps to its objective is unknown",
            "Jobs of q run, and how many waited longer than its objective is not counted: its wait_seconds "
            "is no bound "
            "of RQ_JOB_BUCKETS.",
        ),
    ),
    Silent(
        alert="RQWaitObjectiveUnmeasured",
        why="it is one",
        series=_waits("q", le="30.0", in_time="0+1x800", all_="0+1x800"),
        at=900,
    ),
    Silent(
        alert="RQWaitObjectiveUnmeasured",
        why="nothing runs",
        series=_waits("q", le="60.0", in_time="5x800", all_="5x800"),
        at=900,
    ),
)
