"""The "RQ Dashboard": is everything fine, what is in the queues, who works on it, and how fast."""

from grafanalib import core

from dashboards.boards.rq_jobs import FAILING_SHARE
from dashboards.boards.rq_redis import redis_up
from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import RECENT, jobs, known, low, or_zero, peak_total, rate, select, share, total
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, UP_OR_DOWN, WARNING, steps
from dashboards.rows.exporter_panels import collection_time
from dashboards.rows.queue_pace import slowest_queue
from dashboards.rows.worker_panels import throughput, utilisation, workers
from rqmon.metrics import (
    JOB_STATUSES,
    RQ_JOBS,
    RQ_JOBS_CANCELED,
    RQ_JOBS_PROCESSED_TOTAL,
    RQ_WORKERS,
    RQ_WORKERS_FAILED_TOTAL,
    RQ_WORKERS_SUCCESS_TOTAL,
    UP,
)


def rq_dashboard() -> core.Dashboard:
    """All sections, from the question asked first to the detail needed last."""
    return dashboard(
        "RQ Dashboard",
        "rq-dashboard",
        "Jobs, queues and workers of RQ, as Redis holds them and the exporter reads them.",
        [*health(), *jobs_now(), *throughput(), *breakdowns(), *workers(), *exporter()],
    )


def health() -> list[core.Panel]:
    """Is everything fine? All green means yes."""
    failed = rate(RQ_WORKERS_FAILED_TOTAL, window=RECENT)
    ended = f"({rate(RQ_WORKERS_SUCCESS_TOTAL, window=RECENT)} + {failed})"
    # Of any function: workers' own counters know none.
    recorded = f"group(rate({select(RQ_JOBS_PROCESSED_TOTAL, any_function=True)}[{RECENT}]))"
    return [
        panels.row("Is everything fine?"),
        panels.stat(
            "Exporter",
            "Whether Prometheus can read the exporter. While it is down every other panel is blind: see "
            "whether it runs and reaches Redis.",
            {"Exporter": f"min({select(UP)})"},
            unit="short",
            thresholds=steps(CRITICAL, (1, OK)),
            mappings=UP_OR_DOWN,
        ),
        redis_up(),
        panels.stat(
            "Workers",
            "Workers that listen to the chosen queues. None: nothing runs; start some. One that was killed "
            "still counts until its key in Redis ends, up to 8 minutes later.",
            {"Workers": or_zero(f"count({select(RQ_WORKERS)})")},
            unit=theme.COUNT,
            thresholds=steps(CRITICAL, (1, OK)),
        ),
        utilisation(),
        slowest_queue("Queue clears in"),
        panels.stat(
            "Failing",
            "The share of executions that left their job failed for good, over 5 minutes; where workers do "
            "not record, retried ones too. Above zero: read the exceptions before requeueing.",
            {"Failing": or_zero(f"{FAILING_SHARE} or ({failed}) / ({ended} > 0) unless on () {recorded}")},
            unit="percentunit",
            decimals=1,
            thresholds=steps(OK, (0.01, WARNING), (0.05, CRITICAL)),
        ),
    ]


def jobs_now() -> list[core.Panel]:
    """How many jobs are in each status, in all and in each queue."""
    advice = {
        "queued": "Growing without end: too few workers, or none for this queue.",
        "started": "More than there are busy workers: some died, and their jobs are not yet failed.",
        "scheduled": "Past their time and still here: no worker runs RQ's scheduler (--with-scheduler).",
        "deferred": "They stay if one of those fails: requeue or delete it.",
        "finished": "Not a total: it falls as results expire. Rates are in Jobs ended, below.",
        "failed": "Read why in rq-dashboard, then requeue or delete them.",
    }
    thresholds = {
        "queued": steps(INFO, (100, WARNING), (1000, CRITICAL)),
        "finished": steps(OK),
        "failed": steps(OK, (1, WARNING), (100, CRITICAL)),
    }
    return [
        panels.row("Jobs now"),
        *(
            panels.stat(
                status.capitalize(),
                f"{JOB_STATUSES[status]} {words}",
                {status.capitalize(): or_zero(jobs(status=status))},
                unit=theme.COUNT,
                thresholds=thresholds.get(status, steps(INFO)),
            )
            for status, words in advice.items()  # one line of them; canceled jobs are in the table
        ),
        panels.table(
            "Jobs in each queue",
            "Every queue with its jobs by status, now. Many queued and none started: no worker listens to "
            "that queue. Click a queue for its jobs in rq-dashboard.",
            {
                **{status.capitalize(): jobs("queue", status=status) for status in JOB_STATUSES},
                "Canceled": total(RQ_JOBS_CANCELED, by="queue"),
            },
            labels={"queue": "Queue"},
            width=12,
            overrides=[
                theme.column_thresholds(
                    "Queued", steps(NEUTRAL, (1, INFO), (100, WARNING), (1000, CRITICAL))
                ),
                theme.column_thresholds("Failed", steps(NEUTRAL, (1, CRITICAL))),
            ],
            link=links.QUEUED,
        ),
        panels.timeseries(
            "Backlog by queue",
            "Jobs waiting in each queue. A line that only rises needs more workers on that queue; one that "
            "stays up and level has none.",
            {"{{queue}}": peak_total(RQ_JOBS, by="queue", status="queued")},
            unit="short",
            width=12,
            link=links.QUEUED,
        ),
    ]


def breakdowns() -> list[core.Panel]:
    """Number and share of jobs by status, by queue, and by both."""
    cuts = {
        "status": ("status", "{{status}}", theme.STATUS_COLORS),
        "queue": ("queue", "{{queue}}", {}),
        "queue and status": ("queue, status", "{{queue}}: {{status}}", {}),
    }
    result = [panels.row("Jobs by status and by queue")]
    for name, (labels, legend, colors) in cuts.items():
        result += [
            panels.timeseries(
                f"Jobs by {name}",
                f"Jobs in Redis by {name}; finished and failed ones stay until their TTL ends. Look at the "
                "part that grows while the others do not.",
                {legend: jobs(labels)},
                unit="short",
                width=8,
                stacked=True,
                colors=colors,
            ),
            panels.timeseries(
                f"Share of jobs by {name}",
                f"The mix of the jobs in Redis by {name}. More and more queued: too few workers. More and "
                "more failed: nobody deals with the failures.",
                {legend: share(labels)},
                unit="percentunit",
                width=8,
                stacked=True,
                maximum=1,
                colors=colors,
            ),
            panels.shares(
                f"Share now by {name}",
                f"The largest parts, up to eight, of the jobs in Redis by {name}, now. Choose a queue above "
                "to see it alone.",
                {legend: known(f"topk(8, {share(labels)})")},
                colors=colors,
            ),
        ]
    return result


def exporter() -> list[core.Panel]:
    """Whether the numbers above can be trusted."""
    return [
        panels.row("Exporter"),
        panels.state_timeline(
            "Exporter availability",
            "Whether each scrape of the exporter succeeded. While it is down nothing above is known; see "
            "the exporter's log.",
            {"{{instance}}": low(UP, by="instance")},
            mappings=UP_OR_DOWN,
            height=4,
        ),
        collection_time(),
    ]
