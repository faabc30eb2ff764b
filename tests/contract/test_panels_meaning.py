"""What panels say of known series, by Prometheus's own tool: the truth, and nothing where nobody knows it."""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from dashboards.__main__ import DASHBOARDS, ROOT

FILLED = {"queue": ".*", "redis": ".*", "function": ".*", "__rate_interval": "20s", "__range": "30m"}
DAY = 86400
UP = {'up{job="rq-exporter"}': "1x180", "rq_redis_up": "1x180"}
DOWN = {'up{job="rq-exporter"}': "1x180", "rq_redis_up": "0x180"}
# Two servers with a queue of the same name, of which only one is served.
TWO_SERVERS = {
    'rq_redis_up{redis="a"}': "1x180",
    'rq_redis_up{redis="b"}': "0x180",
    'rq_jobs{status="queued", queue="default", redis="a"}': "50x180",
    'rq_jobs{status="queued", queue="default", redis="b"}': "0x180",
    'rq_queue_workers{queue="default", redis="a"}': "0x180",
    'rq_queue_workers{queue="default", redis="b"}': "4x180",
    'rq_jobs_processed_total{queue="default", function="f", outcome="succeeded", redis="b"}': "0+40x180",
}
# A queue of plain `rq worker`s, who record nothing; every fourth execution fails.
NOT_RECORDED = {
    **UP,
    'rq_jobs{status="queued", queue="plain"}': "60x180",
    'rq_queue_workers{queue="plain"}': "1x180",
    'rq_workers_success_total{name="w", queues="plain"}': "0+3x180",
    'rq_workers_failed_total{name="w", queues="plain"}': "0+1x180",
}
# One in eight of its executions fails for good; its worker counts one in four, as some are retried.
RECORDED = {
    **UP,
    'rq_jobs{status="queued", queue="short"}': "60x180",
    'rq_queue_workers{queue="short"}': "1x180",
    'rq_workers_success_total{name="w", queues="short"}': "0+6x180",
    'rq_workers_failed_total{name="w", queues="short"}': "0+2x180",
    'rq_jobs_processed_total{queue="short", function="f", outcome="succeeded"}': "0+6x180",
    'rq_jobs_processed_total{queue="short", function="f", outcome="retried"}': "0+1x180",
    'rq_jobs_processed_total{queue="short", function="f", outcome="failed"}': "0+1x180",
}
WAITED = {
    **UP,
    'rq_job_wait_seconds_bucket{queue="q", function="f", le="30.0"}': "0+95x180",
    'rq_job_wait_seconds_bucket{queue="q", function="f", le="+Inf"}': "0+100x180",
    'rq_job_wait_seconds_count{queue="q", function="f"}': "0+100x180",
}
# In the last 20 seconds one slot ran and one was missed.
SLOTS = {
    **UP,
    'rq_cron_entry_info{entry="e", function="f", schedule="s", timezone="UTC", queue="q"}': "1x180",
    'rq_cron_slots_total{entry="e", outcome="ran"}': "0x178 1 1",
    'rq_cron_slots_total{entry="e", outcome="missed"}': "0x178 1 1",
}


@dataclass(frozen=True)
class Case:
    """A panel, the series there are, what is chosen, and what it says: None is "No data"."""

    uid: str
    panel: str
    series: dict[str, str]
    says: float | None
    chosen: dict[str, str] = field(default_factory=dict)


CASES = [
    Case("rq-dashboard", "Redis", DOWN, 0),
    Case("rq-dashboard", "Redis", TWO_SERVERS, 0),
    *(Case("rq-dashboard", panel, UP, 0) for panel in ("Workers", "Queued", "Failed", "Failing")),
    *(Case("rq-dashboard", panel, DOWN, None) for panel in ("Workers", "Queued", "Failed", "Failing")),
    Case("rq-dashboard", "Failing", RECORDED, 0.125),
    Case("rq-dashboard", "Failing", RECORDED, 0, {"function": "another"}),
    Case("rq-dashboard", "Failing", NOT_RECORDED, 0.25),
    Case("rq-jobs", "Failing", RECORDED, 0.125),
    Case("rq-limits", "Retried share", {**RECORDED, 'rq_job_retries_total{queue="short"}': "0+1x180"}, 0.125),
    *(Case("rq-queues", panel, DOWN, None) for panel in ("Queued jobs", "Queues nobody serves")),
    Case("rq-queues", "Queues nobody serves", RECORDED, 0),
    Case("rq-queues", "Queues nobody serves", TWO_SERVERS, 1),
    Case("rq-queues", "Queues served", TWO_SERVERS, 2),
    Case("rq-queues", "Slowest queue drains in", TWO_SERVERS, DAY),
    Case("rq-queues", "Slowest queue drains in", RECORDED, 60 / (8 / 5)),
    Case("rq-queues", "Slowest queue drains in", NOT_RECORDED, None),
    Case("rq-queues", "Waited at most 30 s", WAITED, 0.95),
    Case("rq-queues", "Burn rate, 5 minutes", WAITED, 5),
    Case("rq-cron", "Slots of each entry", SLOTS, 2),
    Case("rq-cron", "Missed", DOWN, None),
    Case("rq-redis", "Memory of maximum", {**UP, "rq_redis_memory_used_bytes": "5x180"}, 0),
    Case("rq-monitoring", "Scrape errors", DOWN, 0),
]


def query_of(case: Case) -> str:
    """The panel's only query, with what is chosen put in."""
    panels = json.loads((ROOT / DASHBOARDS / f"{case.uid}.json").read_text(encoding="utf-8"))["panels"]
    [target] = next(panel["targets"] for panel in panels if panel["title"] == case.panel)
    return re.sub(r"\$(\w+)", lambda match: {**FILLED, **case.chosen}[match.group(1)], target["expr"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed: install prometheus")
def test_panels_say_what_is_true(tmp_path: Path) -> None:
    tests = [
        {
            "name": f"{number}: {case.uid}, {case.panel}",
            "interval": "5s",
            "input_series": [{"series": name, "values": values} for name, values in case.series.items()],
            # Without labels: a panel has one value here, whatever it is named.
            "promql_expr_test": [
                {
                    "expr": f"round(max({query_of(case)}), 0.001)",
                    "eval_time": "15m",
                    "exp_samples": [] if case.says is None else [{"labels": "{}", "value": case.says}],
                }
            ],
        }
        for number, case in enumerate(CASES)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "5s", "tests": tests}))
    done = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
