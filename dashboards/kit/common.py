"""What every dashboard has: variables, time range, links to the others and annotations."""

from collections.abc import Collection
from typing import Any

from grafanalib import core

from dashboards.kit import variables
from dashboards.kit.queries import RATE_INTERVAL, select
from dashboards.kit.variables import DATASOURCE
from rqmon.metrics import ALERTS, RQ_CRON_PROCESSES, RQ_EXPORTER_BUILD_INFO

TAG = "rq"


def dashboard(
    title: str, uid: str, description: str, panels: list[core.Panel], *, without: Collection[str] = ()
) -> core.Dashboard:
    """Make a dashboard of this bundle; sections are rows, which collapse.

    `without` names the variables that would change nothing on it.
    """
    build, versions = select(RQ_EXPORTER_BUILD_INFO), ", ".join(RQ_EXPORTER_BUILD_INFO.labels)
    return core.Dashboard(
        title=title,
        uid=uid,
        description=description,
        tags=[TAG],
        time=core.Time("now-30m", "now"),
        refresh="10s",
        timezone="browser",
        graphTooltip=core.GRAPH_TOOLTIP_MODE_SHARED_CROSSHAIR,
        templating=core.Templating([v for v in variables.every() if v.name not in without]),
        links=[
            core.DashboardLink(
                title="RQ", tags=[TAG], type="dashboards", asDropdown=True, includeVars=True, keepTime=True
            )
        ],
        annotations=core.Annotations(
            [
                _annotation(
                    "Deploys",
                    # An exporter that was away for a while and came back is not a new version.
                    f"group by ({versions}) ({build}) "
                    f"unless group by ({versions}) (last_over_time({build}[1h] offset $__interval))",
                    "blue",
                    title="rqmon {{version}} on rq {{rq_version}}, Python {{python_version}}",
                ),
                # Grafana only marks times at which a query is above 0.
                _annotation(
                    "Cron process gone", f"-delta({select(RQ_CRON_PROCESSES)}[{RATE_INTERVAL}]) > 0", "orange"
                ),
                _annotation("Alerts", select(ALERTS, alertstate="firing"), "red", title="{{alertname}}"),
            ]
        ),
        panels=panels,
    )


def _annotation(name: str, expr: str, color: str, *, title: str = "") -> dict[str, Any]:
    return {
        "datasource": DATASOURCE,
        "enable": True,
        "expr": expr,
        "iconColor": color,
        "name": name,
        "titleFormat": title or name,
    }
