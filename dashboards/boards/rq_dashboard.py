"""The "RQ Dashboard": is something wrong, what is in the queues, who works on them, and how fast.

"Alerts firing" and "Problems now" are in rows/alerts.py, "Failing share", "Top failures" and "Most failing
functions" in rows/failures.py, "Throughput and capacity", "Workers" and "Busiest queue's workers" in
rows/workers.py, "Slowest queue drains in" in rows/queue_pace.py, and other panels shared with another
dashboard in rows/shared.py.
"""

from grafanalib import core

from dashboards.kit import links, panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import jobs, known, low, or_zero, select, share, total
from dashboards.kit.theme import CRITICAL, INFO, NEUTRAL, OK, UP_OR_DOWN, above, steps
from dashboards.rows import shared
from dashboards.rows.alerts import alerts_firing, problems
from dashboards.rows.failures import failing_share, most_failing_functions, top_failures
from dashboards.rows.queue_pace import slowest_queue
from dashboards.rows.workers import throughput, utilisation, workers
from rqmon.metrics import (
    RQ_JOBS_CANCELED,
    RQ_WORKERS,
    UP,
)
from rqmon.states import CANCELED, JOB_STATUSES
from rqmon.thresholds import QUEUED_JOBS


def build() -> core.Dashboard:
    """Return all sections, from the first question to the last detail."""
    return dashboard(
        "RQ Dashboard",
        "rq-dashboard",
        "Jobs, queues and workers of RQ, as Redis holds them and the exporter reads them.",
        [*now(), *health(), *jobs_now(), *throughput(), *breakdowns(), *workers(), *exporter()],
    )


def now() -> list[core.Panel]:
    """Is something wrong, and where most? All green means no."""
    return [
        panels.row("Now"),
        alerts_firing(),
        shared.queues_without_workers(),
        shared.oldest_waiting_job(),
        shared.missed_slots(),
        failing_share(),
        utilisation(),
        problems(),
        top_failures(),
        most_failing_functions(),
    ]


def health() -> list[core.Panel]:
    """Is everything there? All green means yes."""
    return [
        panels.row("Is everything up?"),
        panels.stat(
            "Exporter",
            "Whether Prometheus can read the exporter. While it is down every other panel is blind: see "
            "whether it runs and reaches Redis.",
            {"Exporter": f"min({select(UP)})"},
            unit="short",
            thresholds=steps(CRITICAL, (1, OK)),
            mappings=UP_OR_DOWN,
        ),
        shared.redis_up(),
        panels.stat(
            "Workers",
            "Workers that listen to the chosen queues. None: nothing runs; start some. One that was killed "
            "still counts until its key in Redis ends, up to 8 minutes later.",
            {"Workers": or_zero(f"count({select(RQ_WORKERS)})")},
            unit=theme.COUNT,
            thresholds=steps(CRITICAL, (1, OK)),
        ),
        slowest_queue(),
    ]


def jobs_now() -> list[core.Panel]:
    """How many jobs are in each status, in total and by queue."""
    return [
        panels.row("Jobs now"),
        *(shared.jobs_with(status) for status in JOB_STATUSES),  # one line; canceled jobs are in the table
        panels.table(
            "Jobs in each queue",
            "Every queue with its jobs by status, now. Many queued and none started: no worker listens to "
            "that queue. Click a queue for its jobs in rq-dashboard.",
            {
                **{status.capitalize(): jobs("queue", status=status) for status in JOB_STATUSES},
                CANCELED.capitalize(): total(RQ_JOBS_CANCELED, by="queue"),
            },
            labels={"queue": "Queue"},
            width=12,
            overrides=[
                theme.column_thresholds("Queued", steps(NEUTRAL, (1, INFO), *above(QUEUED_JOBS))),
                theme.column_thresholds("Failed", steps(NEUTRAL, (1, CRITICAL))),
            ],
            sort="Queued",
            no_value="No jobs yet, or nobody knows: make demo queues some",
            link=links.QUEUED,
        ),
        shared.backlog_by_queue(width=12),
    ]


def breakdowns() -> list[core.Panel]:
    """Numbers and shares of jobs, by status and by queue."""
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
        shared.collection_time(),
    ]
