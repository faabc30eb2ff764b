"""What an alert and a recording rule are, and the PromQL that several of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning", "info"]

# What series of the exporter's are kept apart by; `redis` is there where it reads several servers.
SERVER = "job, instance, redis"
QUEUE = f"{SERVER}, queue"
# Where dashboards and runbooks are: prometheus.yml says it, or else it is where the stack puts them.
_BASE = '{{ or $externalLabels.dashboards "http://127.0.0.1:4000" }}'
_RUNBOOKS = '{{ or $externalLabels.runbooks "http://127.0.0.1:9095/runbooks" }}'


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert.

    Attributes:
        name: CamelCase; its section in docs/runbooks.md has the same.
        fault: What is broken when it fires, for readers of the rules.
        expr: PromQL.
        for_seconds: How long it has to hold; 0 where its window says so already.
        keep_firing_for_seconds: How long it goes on when the expression does not hold any more.
        severity: Critical: somebody has to act now. Warning: today. Info: nobody is told.
        summary: A sentence; labels in it are Go templates.
        description: What is measured, and what it does to jobs.
        dashboard: The uid of the one to look at.
        panel: The title of the panel there that shows it.
        chosen: The labels whose values are chosen on that dashboard.
    """

    name: str
    fault: str
    expr: str
    for_seconds: int
    keep_firing_for_seconds: int = 0
    severity: Severity
    summary: str
    description: str
    dashboard: str
    panel: str
    chosen: tuple[str, ...] = ()

    @property
    def runbook_url(self) -> str:
        """The address of its section in docs/runbooks.md."""
        return f"{_RUNBOOKS}#{self.name.lower()}"

    @property
    def dashboard_url(self) -> str:
        """The address of the dashboard, with what is chosen there taken from the alert's labels."""
        variables = [f"var-{label}={{{{ $labels.{label} | urlquery }}}}" for label in self.chosen]
        server = "{{ with $labels.redis }}%svar-redis={{ . | urlquery }}{{ end }}" % (
            "&" if variables else "?"
        )
        chosen = f"?{'&'.join(variables)}" if variables else ""
        return f"{_BASE}/d/{self.dashboard}{chosen}{server}"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording rule; `record` reads level:metric:operation, and `labels` are what its series have."""

    record: str
    expr: str
    labels: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rules that are evaluated together, in this order; as often as all others, or each so many seconds."""

    name: str
    rules: Sequence[Alert | Recording]
    interval_seconds: int = 0


def rise(series: str, window: str) -> str:
    """How much it rose within the window, at least.

    A Redis that fails over may have lost the last counts, and 499 after 500 is 499 events to `rate()`: what
    compares rates asks for the rise too. Alone it does not do: it would count all of a series that was gone
    for a moment.
    """
    return f"({series} - min_over_time({series}[{window}]))"


def events(selector: str, *, by: str, window: str) -> str:
    """How often something was counted within the window: a whole number, also of a series that is new.

    `increase()` makes 12 of 11, and nothing of a series' first value. A series that some reading in the
    window lacked began there: all of it happened since.
    """
    base = f"min_over_time({selector}[{window}])"
    begun = (
        f"count_over_time({selector}[{window}]) "
        f"< on ({SERVER}) group_left () sum_over_time(rq_redis_up[{window}])"
    )
    return f"sum by ({by}) (last_over_time({selector}[{window}]) - (0 * ({begun}) or {base}))"
