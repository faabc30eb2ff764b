"""While Redis, the exporter or Prometheus's scrapes are away, no tile shows an unknown value."""

import json
from pathlib import Path

import pytest

from dashboards.paths import DASHBOARDS, ROOT
from tests.contract.panel_cases import Case, needs_promtool, run

# Values from before the source went away, which are still in the windows.
BEFORE = {
    'rq_jobs{status="queued", queue="q"}': "3x178 stale",
    'rq_queue_workers{queue="q"}': "1x178 stale",
    'rq_workers{name="w", state="busy", queues="q"}': "1x178 stale",
    'rq_workers_success_total{name="w", queues="q"}': "0+1x178 stale",
    'rq_workers_failed_total{name="w", queues="q"}': "0+1x178 stale",
    **{
        f'rq_jobs_processed_total{{queue="q", function="f", outcome="{outcome}"}}': "0+1x178 stale"
        for outcome in ("succeeded", "failed", "retried", "rate_limited", "abandoned")
    },
    **{
        f'{name}{{queue="q", function="f", le="{le}"}}': "0+1x178 stale"
        for name in ("rq_job_wait_seconds_bucket", "rq_job_run_seconds_bucket")
        for le in ("30.0", "+Inf")
    },
    'rq_job_wait_seconds_count{queue="q", function="f"}': "0+1x178 stale",
    'rq_job_retries_total{queue="q"}': "0+1x178 stale",
    'rq_work_horses_killed_total{queue="q"}': "0+1x178 stale",
    "rq_jobs_unaccounted": "1x178 stale",
    'rq_rate_limit_requests_total{resource="r", outcome="admitted"}': "0+1x178 stale",
    'rq_rate_limit_requests_total{resource="r", outcome="refused"}': "0+1x178 stale",
    'rq_cron_slots_total{entry="e", outcome="missed"}': "0+1x178 stale",
    'rq_scrape_errors_total{reason="timeout"}': "0+1x178 stale",
    'prometheus_rule_evaluation_failures_total{rule_group="g"}': "0+1x178 stale",
}
# Prometheus reads itself, whatever else fails.
ITSELF = {
    'ALERTS{alertname="RQWatchdog", alertstate="firing", severity="info"}': "1x180",
    'up{job="prometheus"}': "1x180",
    'scrape_duration_seconds{job="prometheus"}': "2x180",
    "prometheus_tsdb_head_series": "9x180",
    'prometheus_rule_evaluation_failures_total{rule_group="g"}': "0+1x180",
}
AWAY = {
    "Redis": {'up{job="rq-exporter"}': "1x180", "rq_redis_up": "1x178 0x2", **BEFORE, **ITSELF},
    "exporter": {'up{job="rq-exporter"}': "1x178 0x2", "rq_redis_up": "1x178 stale", **BEFORE, **ITSELF},
    "scrapes": {'up{job="rq-exporter"}': "1x178 stale", "rq_redis_up": "1x178 stale", **BEFORE},
}
# Known all the same.
STILL = {
    ("Redis", "Redis"): 0,
    ("Redis", "Exporter"): 1,
    ("exporter", "Exporter"): 0,
    ("Redis", "Targets down"): 0,
    ("exporter", "Targets down"): 1,
    # Counted by the exporter, whatever Redis does.
    ("Redis", "Scrape errors"): 178,
    **{
        (away, title): says
        for away in ("Redis", "exporter")
        for title, says in (
            ("Alerts firing", 0),
            ("Rule failures", 180),
            ("Longest scrape", 2),
            ("Series", 9),
        )
    },
}
TILES = [
    (path.stem, panel["title"], target["legendFormat"])
    for path in sorted((ROOT / DASHBOARDS).glob("*.json"))
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]
    if panel["type"] in ("stat", "gauge", "bargauge")
    for target in panel["targets"]
]


@needs_promtool
@pytest.mark.parametrize("away", AWAY)
def test_no_tile_knows_what_nobody_can_tell(away: str, tmp_path: Path) -> None:
    run(
        tmp_path,
        [
            Case(uid, title, AWAY[away], STILL.get((away, title)), legend=legend)
            for uid, title, legend in TILES
        ],
    )
