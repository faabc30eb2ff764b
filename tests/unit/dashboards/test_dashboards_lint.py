"""Each rule finds a dashboard that breaks it, by name, and the generated ones break none."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboards.lint import promql
from dashboards.lint.rules import EXCLUSIONS, Exclusion, lint
from dashboards.paths import DASHBOARDS, ROOT

Json = dict[str, Any]
FOLDER = ROOT / DASHBOARDS
GOOD: Json = json.loads((FOLDER / "rq-dashboard.json").read_text(encoding="utf-8"))


def panel(dashboard: Json, title: str) -> Json:
    return next(p for p in dashboard["panels"] if p["title"] == title)


def broken(title: str, change: Callable[[Json], object]) -> list[str]:
    """Return the lint's output after changing one panel ("" for the dashboard itself)."""
    dashboard = copy.deepcopy(GOOD)
    change(panel(dashboard, title) if title else dashboard)
    return [str(problem) for problem in lint([dashboard])]


def expr(text: str) -> Callable[[Json], object]:
    return lambda p: p["targets"][0].update(expr=text)


RATE = "rate(rq_jobs_processed_total[$__rate_interval])"
STAT, LINES, PEAKS = "Workers", "Jobs by queue", "Backlog by queue"
TABLE, TOTALS, STATES = "Jobs in each queue", "Worker totals", "Exporter availability"


def instead(key: str, value: object) -> Callable[[Json], object]:
    return lambda p: p["targets"][0].update({key: value})


@pytest.mark.parametrize(
    ("title", "change", "rule"),
    [
        ("", lambda d: d.update(title=""), "dashboard-identity-rule"),
        ("", lambda d: d["templating"]["list"].pop(0), "template-datasource-rule"),
        ("", lambda d: d["templating"]["list"][1].update(refresh=1), "template-on-time-change-reload-rule"),
        (
            "",
            lambda d: d["templating"]["list"][1]["query"].update(query="label_values(nope, redis)"),
            "template-label-promql-rule",
        ),
        (
            "",
            lambda d: d["templating"]["list"].append({**d["templating"]["list"][1], "name": "worker"}),
            "template-unused-rule",
        ),
        ("", lambda d: d["annotations"]["list"][1].update(expr="delta("), "target-promql-rule"),
        ("", lambda d: d["panels"][2].update(id=d["panels"][1]["id"]), "panel-id-rule"),
        (STAT, lambda p: p.update(description=""), "panel-title-description-rule"),
        (STAT, lambda p: p.update(datasource={"type": "prometheus", "uid": "p1"}), "panel-datasource-rule"),
        (STAT, lambda p: p["fieldConfig"]["defaults"].pop("unit"), "panel-units-rule"),
        (STAT, lambda p: p.update(targets=[]), "panel-no-targets-rule"),
        (TABLE, lambda p: p["options"].pop("sortBy"), "panel-sort-rule"),
        (STAT, lambda p: p["targets"].append(p["targets"][0]), "target-id-rule"),
        (STAT, lambda p: p["targets"][0].pop("datasource"), "target-datasource-rule"),
        (STAT, lambda p: p["targets"][0].update(hide=True), "target-hidden-rule"),
        (TABLE, expr("sum(rq_workers"), "target-promql-rule"),
        (TABLE, expr("sum(rq_workerz)"), "target-metric-rule"),
        (TABLE, expr("sum(rq_job_wait_seconds)"), "target-metric-rule"),
        (TABLE, expr("sum(rq_jobs_processed_total)"), "target-counter-rule"),
        (LINES, expr("sum by (queue) (rq_jobs_processed_total)"), "target-counter-rule"),
        (LINES, expr(RATE), "target-counter-agg-rule"),
        (LINES, expr("sum by (queue) (rate(rq_typo_total[$__rate_interval]))"), "target-metric-rule"),
        (LINES, expr("sum by (queue) (rate(rq_jobs[$__rate_interval]))"), "target-gauge-rule"),
        (TABLE, expr("sum(increase(rq_jobs[$__range]))"), "target-gauge-rule"),
        (LINES, expr("sum by (queue) (rate(rq_jobs_processed_total[5m]))"), "target-rate-interval-rule"),
        (TABLE, expr("sum(increase(rq_jobs_processed_total[7m]))"), "target-rate-interval-rule"),
        *(
            (title, change, "target-instant-rule")
            for title in (STAT, TABLE, "Busiest queue's workers", "Share now by queue")
            for change in (instead("instant", False), instead("range", True))
        ),
        (STAT, expr("sum(rq_cron_processes)"), "panel-unknown-rule"),
        (STAT, expr("count(ALERTS{alertstate='firing'})"), "panel-unknown-rule"),
        (STAT, expr("max(max_over_time(rq_redis_up[5m]))"), "panel-unknown-rule"),
        (STAT, lambda p: p["options"]["reduceOptions"].update(calcs=["lastNotNull"]), "panel-unknown-rule"),
        (STAT, lambda p: p["fieldConfig"]["defaults"].update(mappings=[]), "panel-unknown-rule"),
        (
            STAT,
            lambda p: p["fieldConfig"]["defaults"]["mappings"][-1]["options"]["result"].update(color="green"),
            "panel-unknown-rule",
        ),
        (PEAKS, expr("sum by (queue) (rq_jobs)"), "target-peak-rule"),
        (STATES, expr("max by (instance) (up)"), "target-peak-rule"),
        (LINES, lambda p: p["targets"][0].update(legendFormat=""), "target-legend-rule"),
        (LINES, lambda p: p["targets"][0].update(legendFormat="Queue"), "target-legend-rule"),
        (LINES, lambda p: p["targets"][0].update(legendFormat="{{queue}} {{status}}"), "target-legend-rule"),
    ],
)
def test_a_broken_rule_is_found_by_name(title: str, change: Callable[[Json], object], rule: str) -> None:
    [found] = broken(title, change)
    assert f": {title or '(dashboard)'}: {rule}: " in found


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (TABLE, "sum(rate(rq_jobs_processed_total[5m]))"),
        (TABLE, "sum(increase(rq_jobs_processed_total[$__range]))"),
        (LINES, f"sum by (queue) ({RATE})"),
        (
            LINES,
            "histogram_quantile(0.9, sum by (queue, le) (rate(rq_job_run_seconds_bucket[$__rate_interval])))",
        ),
        (TOTALS, "sum by (name, queues) (rq_workers_failed_total)"),
        (LINES, "label_replace(rq_jobs, 'queue', '$1', 'queue', '(.*)')"),
        (LINES, "max by (queue) (quantile_over_time(0.9, rq_queue_oldest_job_age_seconds[5m]))"),
        (LINES, "quantile_over_time(0.9, rq_queue_oldest_job_age_seconds[5m])"),
        (LINES, "time() - max by (queue) (rq_jobs)"),
        (PEAKS, "max by (queue) (max_over_time(rq_jobs[$__rate_interval])) and on () rq_redis_up == 1"),
        (STAT, "sum(rq_cron_processes) and on () min(rq_redis_up) == 1"),
        (STAT, 'vector(0) and on () ALERTS{alertname="RQWatchdog"}'),
        (LINES, "sum by (queue) (rq_jobs) and on (queue) (rq_queue_workers == 0)"),
        (LINES, 'topk(5, sum by (queue) (rq_jobs{queue=~"$queue"}) / scalar(sum(rq_jobs)))'),
    ],
)
def test_a_good_query_is_let_through(title: str, text: str) -> None:
    assert broken(title, expr(text)) == []


def test_a_uid_used_twice() -> None:
    assert [problem.rule for problem in lint([GOOD, GOOD])] == ["dashboard-identity-rule"]


def test_exclusions_silence_one_rule_of_one_panel_and_are_found_when_they_silence_nothing() -> None:
    dashboard = copy.deepcopy(GOOD)
    panel(dashboard, STAT)["targets"][0]["hide"] = True
    exclusion = Exclusion(uid=GOOD["uid"], panel=STAT, rule="target-hidden-rule", reason="a test")
    assert lint([dashboard], [*EXCLUSIONS, exclusion]) == []
    assert [problem.what_to_do for problem in lint([GOOD], [*EXCLUSIONS, exclusion])] == [
        "no longer broken; delete its exclusion"
    ]


def test_a_selectors_surroundings() -> None:
    [use] = promql.uses(
        promql.parse("sum by (a) (-(rate(x_total{q=~'$queue'}[$__rate_interval] offset 1m)))")
    )
    assert use == promql.Use("x_total", "$__rate_interval", ("rate", "sum"))


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        f"from pathlib import Path; from dashboards.lint.rules import main; main(Path({str(folder)!r}))",
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_names_what_is_broken_and_exits_1(tmp_path: Path) -> None:
    dashboard = copy.deepcopy(GOOD)
    panel(dashboard, TABLE)["targets"][0]["expr"] = "rq_nope"
    (tmp_path / "one.json").write_text(json.dumps(dashboard))
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (
        1,
        "rq-dashboard: Jobs in each queue: target-metric-rule: A: rq_nope is not in rqmon/metrics.py, "
        "and no rule records it\n",
    )


def test_the_generated_dashboards_are_clean() -> None:
    done = run(FOLDER)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_generating_needs_no_parser() -> None:
    code = "import sys; sys.modules['promql_parser'] = None; import dashboards.__main__ as m; m.generate()"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
