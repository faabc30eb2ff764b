"""Alerts about what everything else needs: the exporter, Redis, and the way that alerts take."""

from dashboards.alerts.model import SERVER, Alert, events, rise
from rqmon.metrics import WATCHDOG
from rqmon.thresholds import REDIS_MEMORY_SHARE, SCRAPE_DURATION, SCRAPE_ERRORS, SNAPSHOT_AGE_SECONDS

# What Prometheus could not send it sends again after a minute, and Alertmanager after a group's interval, a
# minute or two: one message that was lost, or an Alertmanager that starts again, is no news.
_FAILED = rise("alertmanager_notification_requests_failed_total", "5m")
_ASKED = rise("alertmanager_notification_requests_total", "5m")
_NOT_SENT = f"""
up{{job=~"alertmanager|prometheus"}} == 0
or absent(up{{job="alertmanager"}})
or sum by (job, instance) (rate(prometheus_notifications_errors_total[2m]))
  + sum by (job, instance) (rate(prometheus_notifications_dropped_total[2m])) > 0
  unless on () (up{{job="alertmanager"}} == 0)
or sum by (job, instance, integration) ({_FAILED}) > 0
  and sum by (job, instance, integration) ({_ASKED}) - sum by (job, instance, integration) ({_FAILED}) == 0
""".strip()

# A file that could not be written, or no file at all: the label `kind` tells which.
_NOT_WRITTEN = f"""
rq_redis_last_write_ok == 0
or label_replace(
  rq_redis_aof_enabled == 0
  and rq_redis_changes_since_last_save > 0
  and time() - rq_redis_last_save_timestamp_seconds > {SNAPSHOT_AGE_SECONDS}, "kind", "none", "", ""
)
""".strip()

ALERTS = (
    Alert(
        name="RQExporterDown",
        fault="The exporter was stopped, hangs, or is not in Prometheus's configuration.",
        # absent(): a target that is gone from the configuration has no `up` at all.
        expr='up{job="rq-exporter"} == 0 or absent(up{job="rq-exporter"})',
        for_seconds=30,
        severity="critical",
        summary="The exporter does not answer",
        description="Prometheus has had no answer from rq-exporter for 30 seconds. Queues and workers are "
        "not seen, "
        "whether they are well or not.",
        dashboard="rq-dashboard",
        panel="Exporter",
    ),
    Alert(
        name="RQRedisDown",
        fault="Redis was stopped, hangs, or can't be reached.",
        # One that refuses has its own alert.
        expr=f"rq_redis_up == 0 unless on ({SERVER}) rq_redis_refusing == 1",
        for_seconds=30,
        severity="critical",
        summary="Redis does not answer the exporter",
        description="Redis has not answered for 30 seconds. No job is queued or started, and the dashboards "
        "show none.",
        dashboard="rq-dashboard",
        panel="Redis",
    ),
    Alert(
        name="RQRedisRefusing",
        fault="Redis is a replica, loads, is full, can't save, or a user lacks a right.",
        expr="rq_redis_refusing == 1",
        for_seconds=30,
        severity="critical",
        summary="Redis refuses ({{ $labels.code }})",
        description="Redis has answered and refused for 30 seconds, with {{ $labels.code }}. Jobs that are "
        "queued or "
        "end meanwhile may fail.",
        dashboard="rq-redis",
        panel="Redis",
    ),
    Alert(
        name="RQScrapeSlow",
        fault="The exporter or Redis is overloaded, or far away.",
        expr=f'avg_over_time(scrape_duration_seconds{{job="rq-exporter"}}[5m]) > {SCRAPE_DURATION.warning} '
        'and up{job="rq-exporter"} == 1',
        for_seconds=300,
        severity="warning",
        summary="Scrapes of the exporter are slow",
        description="A scrape takes {{ $value | humanizeDuration }} on average. The exporter gives up on a "
        "Redis that needs 1.5s, Prometheus on the exporter after 4s; then nothing is seen.",
        dashboard="rq-monitoring",
        panel="Scrape duration",
    ),
    Alert(
        name="RQScrapeErrors",
        fault="A key or field in Redis is not as RQ writes it, or connections fail now and then.",
        expr=f"sum by (job, instance, reason) (increase(rq_scrape_errors_total[5m])) >= {SCRAPE_ERRORS}",
        for_seconds=300,
        severity="warning",
        summary="The exporter can't read everything ({{ $labels.reason }})",
        description='The exporter met {{ $value | printf "%.0f" }} errors of the kind {{ $labels.reason }} '
        "in 5 minutes. "
        "Some numbers on the dashboards are missing.",
        dashboard="rq-monitoring",
        panel="Scrape errors by reason",
    ),
    Alert(
        name=WATCHDOG,
        fault="None: it always fires.",
        expr="vector(1)",
        # Prometheus finds Alertmanager 5 s after its start. What fires before that is lost, and is sent
        # again after a minute.
        for_seconds=10,
        severity="info",
        summary="Alerts are evaluated and sent",
        description="This alert always fires. Have something outside tell you when it stops arriving: then "
        "no other "
        "alert arrives either.",
        dashboard="rq-monitoring",
        panel="Alerts firing",
    ),
    Alert(
        name="RQRedisMemoryHigh",
        fault="Redis holds more and more, up to maxmemory.",
        expr=f"rq_redis_memory_used_bytes / (rq_redis_memory_max_bytes > 0) >= {REDIS_MEMORY_SHARE.critical}",
        for_seconds=300,
        severity="warning",
        summary="Redis' memory is nearly full",
        description="Redis uses {{ $value | humanizePercentage }} of its maxmemory. At 100% it refuses new "
        "jobs, or "
        "drops keys.",
        dashboard="rq-redis",
        panel="Memory of maximum",
    ),
    Alert(
        name="RQRedisEvicting",
        fault="Redis' memory is full, and its maxmemory-policy drops keys.",
        expr=f"{events('rq_redis_evicted_keys_total', by=SERVER, window='10m')} > 0",
        for_seconds=0,
        severity="critical",
        summary="Redis drops keys for lack of memory",
        description='Redis dropped {{ $value | printf "%.0f" }} keys in 10 minutes. Jobs may be among them, '
        "and nothing "
        "brings those back.",
        dashboard="rq-redis",
        panel="Evicted keys",
    ),
    Alert(
        name="RQRedisNotPersisting",
        fault="Redis can't write to its disk, or was told to write nothing.",
        expr=_NOT_WRITTEN,
        for_seconds=300,
        severity="warning",
        summary="Redis does not write its data to disk ({{ $labels.kind }})",
        description='{{ if eq $labels.kind "none" }}Redis has no append-only file, and has saved no change '
        "for "
        f"{SNAPSHOT_AGE_SECONDS // 3600} hours"
        "{{ else }}The last write of {{ $labels.kind }} failed{{ end }}. When Redis restarts, jobs are lost.",
        dashboard="rq-redis",
        panel="Last write to disk",
    ),
    Alert(
        name="RQAlertsNotDelivered",
        fault="Alertmanager is down, or what it is to tell refuses.",
        expr=_NOT_SENT,
        for_seconds=180,
        severity="critical",
        summary="Alerts are not delivered",
        description="{{ with $labels.integration }}Alertmanager's notifications by {{ . }} fail{{ else }}"
        "{{ $labels.job }} does not answer, or can't send what it has{{ end }}. Nobody is told of what "
        "fires.",
        dashboard="rq-monitoring",
        panel="Targets",
    ),
)
