"""A case, and how it is written for `promtool test rules`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from dashboards.alerts.files import ALERTS
from rqmon.metrics import WATCHDOG

EXPORTER = {"job": "rq-exporter", "instance": "rq-exporter"}
ALWAYS = WATCHDOG
_UP = {
    'up{job="rq-exporter", instance="rq-exporter"}': "1x1600",
    'up{job="prometheus", instance="prometheus"}': "1x1600",
    'up{job="alertmanager", instance="alertmanager"}': "1x1600",
}
_REDIS_UP = {"rq_redis_up": "1x1600"}
# What is down is waited for 30 seconds.
_LONG_ENOUGH = 60
_SEVERITY = {alert.name: alert.severity for alert in ALERTS}
_BY_NAME = {alert.name: alert for alert in ALERTS}


@dataclass(frozen=True, kw_only=True)
class Firing:
    """An alert that fires, with its labels but for severity and those that all of the exporter's have."""

    alert: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_labels(self) -> dict[str, str]:
        """As Alertmanager gets them."""
        of = {} if "job" in self.labels or self.alert == ALWAYS else EXPORTER
        own = {name: value for name, value in self.labels.items() if value}
        return {"alertname": self.alert, "severity": _SEVERITY[self.alert], **of, **own}


@dataclass(frozen=True, kw_only=True)
class Fires(Firing):
    """It fires at `at` seconds, and not one step before.

    Attributes:
        series: What Prometheus scraped, one value each step; unless it says otherwise, all services answer.
        says: The summary and the description.
        also: What else fires then, of the same cause: Alertmanager must not tell of it.
        no_edge: It fires at once, so there is no step before.
    """

    series: Mapping[str, str]
    at: int
    says: tuple[str, str]
    step: int = 5
    also: Sequence[Firing] = ()
    no_edge: bool = False


@dataclass(frozen=True, kw_only=True)
class Silent:
    """Just not enough: nothing fires at `at`, but for what `also` lists."""

    alert: str
    why: str
    series: Mapping[str, str]
    at: int
    step: int = 5
    also: Sequence[Firing] = ()


@dataclass(frozen=True, kw_only=True)
class Missing:
    """What fires when there is no data, where that is not RQExporterDown or RQRedisDown."""

    alert: str
    series: Mapping[str, str]
    firing: Sequence[Firing]
    at: int = 600
    step: int = 5


Case = Fires | Silent | Missing


def scraped(series: Mapping[str, str]) -> dict[str, str]:
    """All series: those of a healthy stack, and the case's own, with the labels that a scrape adds."""
    return {_named(name): values for name, values in {**_UP, **_REDIS_UP, **series}.items() if values}


def _named(name: str) -> str:
    """The series as Prometheus stores it."""
    if not name.startswith("rq_") or "job=" in name:
        return name
    base, _, rest = name.partition("{")
    return f'{base}{{job="rq-exporter", instance="rq-exporter"{", " + rest if rest else "}"}'


def as_promtool(case: Case) -> Iterator[dict[str, Any]]:
    """The case as promtool's tests."""
    if isinstance(case, Fires):
        firing = [case, *case.also]
        checks = [_fires_exactly(firing, case.at)]
        if not case.no_edge:
            checks.append(_does_not_fire(case, case.at - case.step))
        test = _test(f"{case.alert} fires", case.series, case.step, checks)
        test["alert_rule_test"] = [_says(case)]
        yield test
        if case.alert not in (ALWAYS, "RQExporterDown", "RQAlertsNotDelivered"):
            yield from _without_data(case)
    elif isinstance(case, Silent):
        name = f"{case.alert} is silent: {case.why}"
        yield _test(name, case.series, case.step, [_fires_exactly(case.also, case.at)])
    else:
        name = f"{case.alert} without its data"
        yield _test(name, case.series, case.step, [_fires_exactly(case.firing, case.at)])


def _without_data(case: Fires) -> Iterator[dict[str, Any]]:
    """What fires instead where neither the exporter nor Redis says anything: unknown is never well."""
    down = {'up{job="rq-exporter", instance="rq-exporter"}': "0x1600", "rq_redis_up": ""}
    for what, series, said in (
        ("the exporter", down, "RQExporterDown"),
        ("Redis", {"rq_redis_up": "0x1600"}, "RQRedisDown"),
    ):
        expected = [Firing(alert=said)]
        yield _test(
            f"{case.alert} without {what}",
            series,
            case.step,
            [_fires_exactly(expected, max(_LONG_ENOUGH, case.step))],
        )


def _test(
    name: str, series: Mapping[str, str], step: int, checks: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "name": name,
        "interval": f"{step}s",
        "input_series": [{"series": s, "values": values} for s, values in scraped(series).items()],
        "promql_expr_test": list(checks),
    }


def _fires_exactly(firing: Sequence[Firing], at: int) -> dict[str, Any]:
    return {
        "expr": f'ALERTS{{alertstate="firing", alertname!="{ALWAYS}"}}',
        "eval_time": f"{at}s",
        "exp_samples": [
            {"labels": _sample({"alertstate": "firing", **each.all_labels}), "value": 1}
            for each in firing
            if each.alert != ALWAYS
        ],
    }


def _does_not_fire(case: Fires, at: int) -> dict[str, Any]:
    matchers = {"alertstate": "firing", **case.all_labels}
    return {"expr": _sample(matchers), "eval_time": f"{at}s", "exp_samples": []}


def _sample(labels: Mapping[str, str]) -> str:
    return "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def _says(case: Fires) -> dict[str, Any]:
    alert = _BY_NAME[case.alert]
    labels = {name: value for name, value in case.all_labels.items() if name != "alertname"}
    summary, description = case.says
    chosen = "&".join(
        f"var-{name}={quote_plus(labels[name])}" for name in (*alert.chosen, "redis") if name in labels
    )
    dashboard = f"http://127.0.0.1:4000/d/{alert.dashboard}"
    return {
        "alertname": case.alert,
        "eval_time": f"{case.at}s",
        "exp_alerts": [
            {
                "exp_labels": labels,
                "exp_annotations": {
                    "summary": summary,
                    "description": description,
                    "runbook_url": f"http://127.0.0.1:9095/runbooks#{case.alert.lower()}",
                    "dashboard_url": f"{dashboard}?{chosen}" if chosen else dashboard,
                },
            }
        ],
    }
