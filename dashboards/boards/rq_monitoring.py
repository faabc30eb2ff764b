"""The "RQ Monitoring itself" dashboard: whether what the other dashboards show can be trusted.

"Collection time history" is in rows/shared.py.
"""

from grafanalib import core

from dashboards.kit import panels, theme
from dashboards.kit.common import dashboard
from dashboards.kit.queries import (
    RATE_INTERVAL,
    events,
    events_by_step,
    known,
    or_zero,
    peak,
    peak_total,
    select,
)
from dashboards.kit.theme import CRITICAL, INFO, OK, UP_OR_DOWN, WARNING, above, steps
from dashboards.rows import shared
from dashboards.rows.alerts import alerts_firing
from rqmon.metrics import (
    ALERTS,
    PROMETHEUS_JOB,
    PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL,
    PROMETHEUS_RULE_GROUP_LAST_DURATION_SECONDS,
    PROMETHEUS_TSDB_HEAD_SERIES,
    RQ_EXPORTER_BUILD_INFO,
    RQ_JOBS_SAMPLED,
    RQ_JOBS_UNACCOUNTED,
    RQ_LEFT_OUT,
    RQ_SCRAPE_DURATION_SECONDS,
    RQ_SCRAPE_ERRORS_TOTAL,
    SCRAPE_DURATION_SECONDS,
    SCRAPE_SAMPLES_SCRAPED,
    UP,
)
from rqmon.thresholds import PROMETHEUS_SERIES, SCRAPE_DURATION

ALERT_STATES = theme.text_for_values({0: ("None", OK), 1: ("Pending", WARNING), 2: ("Firing", CRITICAL)})


def build() -> core.Dashboard:
    """Return all sections, from the first question to the last detail."""
    return dashboard(
        "RQ Monitoring itself",
        "rq-monitoring",
        "Whether what the other dashboards show can be trusted: the exporter, Prometheus, rules and alerts.",
        [*now(), *targets(), *scrapes(), *prometheus()],
        without=("queue", "function", "rq_dashboard"),
    )


def now() -> list[core.Panel]:
    """Can the numbers be trusted? All green means yes."""
    return [
        panels.row("Can the numbers be trusted?"),
        panels.stat(
            "Targets down",
            "What Prometheus should read and can't, of all its targets. Above zero: see which, below, and "
            "its log; what it measures is unknown until it is back.",
            {"Down": f"count({UP.name}) - sum({UP.name}) + (absent({select(UP)}) or 0 * count({UP.name}))"},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
        ),
        alerts_firing(),
        panels.stat(
            "Scrape errors",
            "What the exporter could not read in the time range: a server or one key. Above zero: the reason "
            "is below, the details in its log.",
            {"Errors": or_zero(events(RQ_SCRAPE_ERRORS_TOTAL), by=UP)},
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
        ),
        panels.stat(
            "Rule failures",
            "Evaluations of rules that failed in the time range. Above zero: those alerts can't fire; "
            "Prometheus's log and its page /rules say why.",
            {
                "Failures": or_zero(
                    events(PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL), by=UP, job=PROMETHEUS_JOB
                )
            },
            unit=theme.COUNT,
            thresholds=steps(OK, (1, CRITICAL)),
        ),
        panels.stat(
            "Longest scrape",
            "The slowest of Prometheus's targets now. At 4 s, the scrape timeout, nothing is recorded: see "
            "Scrape duration for which it is.",
            {"Longest": known(f"max({select(SCRAPE_DURATION_SECONDS)})", by=UP, job=PROMETHEUS_JOB)},
            unit="s",
            thresholds=steps(OK, *above(SCRAPE_DURATION)),
        ),
        panels.stat(
            "Series",
            "What Prometheus holds in memory, some 4 kB each. Rising without end: a label takes ever new "
            "values; queues or functions named after ids are usual suspects.",
            {"Series": known(f"sum({select(PROMETHEUS_TSDB_HEAD_SERIES)})", by=UP, job=PROMETHEUS_JOB)},
            unit=theme.COUNT,
            thresholds=steps(INFO, *above(PROMETHEUS_SERIES)),
        ),
    ]


def targets() -> list[core.Panel]:
    """Which targets are read, by which exporter, and which problems were found."""
    states = " or ".join(
        f"{code} * {peak(ALERTS, by='alertname', alertstate=state)}"
        for code, state in ((2, "firing"), (1, "pending"))
    )
    # Without it the empty panel would look broken.
    up = f"max(max_over_time({UP.name}[{RATE_INTERVAL}]))"
    none = f'label_replace(0 * {up}, "alertname", "No alert", "", "") unless on () {peak(ALERTS)}'
    return [
        panels.row("Targets and alerts"),
        panels.state_timeline(
            "Targets",
            "Whether each scrape of each target succeeded. Down: see that service's log; Prometheus's page "
            "/targets has the error.",
            {"{{job}}, {{instance}}": f"min by (job, instance) (min_over_time({UP.name}[{RATE_INTERVAL}]))"},
            mappings=UP_OR_DOWN,
            height=6,
        ),
        panels.state_timeline(
            "Alerts",
            "When each alert was pending and firing. docs/runbooks.md says what to do "
            "about each, and Alertmanager silences them.",
            {"{{alertname}}": f"{states} or ({none})"},
            mappings=ALERT_STATES,
            height=5,
        ),
        panels.table(
            "Exporters",
            "What runs as the exporter. Two lines after a deploy: an old one still runs. Its rq should be "
            "the workers' version.",
            {"Exporters": f"count without (job, instance) ({select(RQ_EXPORTER_BUILD_INFO)})"},
            labels={"version": "Version", "rq_version": "rq", "python_version": "Python"},
            width=12,
            overrides=[],
            sort="Exporters",
        ),
        panels.bars(
            "Scrape errors by reason",
            "What the exporter could not read: a server (connection, timeout, authentication), what it is "
            "refused, or one key (another program's, or broken). See its log for which.",
            {"{{reason}}": events_by_step(RQ_SCRAPE_ERRORS_TOTAL, by="reason")},
            unit="short",
            width=12,
        ),
    ]


def scrapes() -> list[core.Panel]:
    """How long reading takes, and how much is read."""
    return [
        panels.row("Scrapes"),
        panels.timeseries(
            "Scrape duration",
            "How long Prometheus waits for each target; it gives up after 4 s. The exporter's rises with "
            "queues and workers; if Time to read a Redis does not, the exporter lacks CPU.",
            {"{{instance}}": peak(SCRAPE_DURATION_SECONDS, by="instance")},
            unit="s",
            width=8,
        ),
        panels.timeseries(
            "Time to read a Redis",
            "How long each Redis took to answer the last scrape. One slower than the others: it is loaded, "
            "far away, or holds more queues and workers.",
            {"Redis {{redis}}": peak(RQ_SCRAPE_DURATION_SECONDS, by="redis")},
            unit="s",
            width=8,
        ),
        panels.timeseries(
            "Samples in a scrape",
            "How much each target says. The exporter's rises with queues, workers and functions. A jump: "
            "names that were meant to be few, as functions', are many; what is too much is left out.",
            {
                "{{instance}}": peak(SCRAPE_SAMPLES_SCRAPED, by="instance"),
                "{{what}} left out": peak_total(RQ_LEFT_OUT, by="what"),
            },
            unit="short",
            width=8,
        ),
        shared.collection_time(),
        panels.timeseries(
            "Jobs looked for",
            "A random sample of jobs that each scrape looks for, and those of them that are nowhere. Some "
            "not found, scrape after scrape: jobs were lost; queue them again.",
            {
                "Looked for": peak_total(RQ_JOBS_SAMPLED),
                "Not found": peak_total(RQ_JOBS_UNACCOUNTED),
            },
            unit="short",
            width=24,
            colors={"Looked for": INFO, "Not found": CRITICAL},
        ),
    ]


def prometheus() -> list[core.Panel]:
    """Rules and storage."""
    durations = _by_group(peak(PROMETHEUS_RULE_GROUP_LAST_DURATION_SECONDS, by="rule_group"))
    failures = events_by_step(PROMETHEUS_RULE_EVALUATION_FAILURES_TOTAL, by="rule_group")
    return [
        panels.row("Prometheus"),
        panels.timeseries(
            "Rule evaluation",
            "How long each group of rules takes; they are evaluated every 5 s. Near that, alerts come late: "
            "see which rule is slow on Prometheus's page /rules.",
            {"{{group}}": f"max by (group) ({durations})"},
            unit="s",
            width=8,
        ),
        panels.bars(
            "Failed rule evaluations",
            "Rules whose evaluation failed, by group. Above zero: their alerts can't fire; Prometheus's log "
            "says what is wrong with which.",
            {"{{group}}": f"sum by (group) ({_by_group(failures)})"},
            unit="short",
            width=8,
        ),
        panels.timeseries(
            "Series in memory",
            "What Prometheus holds in memory. Steps are new queues, workers and functions; a slope that "
            "never ends is a label with ever new values.",
            {"Series": peak_total(PROMETHEUS_TSDB_HEAD_SERIES)},
            unit="short",
            width=8,
        ),
    ]


def _by_group(expr: str) -> str:
    """Reduce the group label to the group's name: Prometheus's begins with the path of its file."""
    return f'label_replace({expr}, "group", "$1", "rule_group", ".*;(.*)")'
