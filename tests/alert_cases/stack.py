"""Cases of dashboards/alerts/stack.py."""

from tests.alert_cases.case import ALWAYS, Case, Fires, Firing, Missing, Silent

_EXPORTER = 'up{job="rq-exporter", instance="rq-exporter"}'
_ALERTMANAGER = 'up{job="alertmanager", instance="alertmanager"}'
_SECONDS = 'scrape_duration_seconds{job="rq-exporter", instance="rq-exporter"}'
_SENT = 'prometheus_notifications_errors_total{job="prometheus", instance="prometheus", alertmanager="a"}'
_DROPPED = 'prometheus_notifications_dropped_total{job="prometheus", instance="prometheus"}'
_OF_ALERTMANAGER = 'job="alertmanager", instance="alertmanager"'
_ASKED = f'alertmanager_notification_requests_total{{{_OF_ALERTMANAGER}, integration="slack"}}'
_REFUSED = f'alertmanager_notification_requests_failed_total{{{_OF_ALERTMANAGER}, integration="slack"}}'
_DOWN_SAYS = (
    "The exporter does not answer",
    "Prometheus has had no answer from rq-exporter for 30 seconds. Queues and workers are not seen, whether "
    "they "
    "are well or not.",
)
_REDIS_SAYS = (
    "Redis does not answer the exporter",
    "Redis has not answered for 30 seconds. No job is queued or started, and the dashboards show none.",
)

CASES: tuple[Case, ...] = (
    Fires(
        alert="RQExporterDown",
        series={_EXPORTER: "1x11 0x40", "rq_redis_up": "1x11 stale"},
        at=90,
        says=_DOWN_SAYS,
    ),
    Silent(
        alert="RQExporterDown",
        why="it restarts, and again",
        series={_EXPORTER: "1x11 0x4 1x11 0x4 1x24"},
        at=165,
    ),
    Missing(
        alert="RQExporterDown",
        series={_EXPORTER: "", "rq_redis_up": ""},
        firing=[Firing(alert="RQExporterDown", labels={"job": "rq-exporter", "instance": ""})],
    ),
    Fires(
        alert="RQRedisDown",
        series={"rq_redis_up": "1x11 0x40"},
        at=90,
        says=_REDIS_SAYS,
    ),
    Fires(
        alert="RQRedisDown",
        labels={"redis": "b"},
        series={
            "rq_redis_up": "",
            'rq_redis_up{redis="a"}': "1x200",
            'rq_redis_up{redis="b"}': "0x200",
            'rq_jobs{queue="q", status="queued", redis="a"}': "7x200",
            'rq_queue_workers{queue="q", redis="a"}': "1x200",
        },
        at=30,
        says=_REDIS_SAYS,
    ),
    Silent(alert="RQRedisDown", why="it restarts", series={"rq_redis_up": "1x11 0x4 1x40"}, at=80),
    Silent(
        alert="RQRedisDown",
        why="of two servers one is full and the other answers",
        series={
            "rq_redis_up": "",
            'rq_redis_up{redis="a"}': "1x40",
            'rq_redis_up{redis="b"}': "1x40",
            'rq_redis_refusing{redis="a", code="READONLY"}': "1x40",
        },
        at=60,
        also=[Firing(alert="RQRedisRefusing", labels={"redis": "a", "code": "READONLY"})],
    ),
    Silent(
        alert="RQRedisDown",
        why="it refuses to be read, which has its own alert",
        series={"rq_redis_up": "0x40", 'rq_redis_refusing{code="LOADING"}': "1x40"},
        at=60,
        also=[Firing(alert="RQRedisRefusing", labels={"code": "LOADING"})],
    ),
    Fires(
        alert="RQRedisRefusing",
        labels={"code": "READONLY"},
        series={'rq_redis_refusing{code="READONLY"}': "0x11 1x40"},
        at=90,
        says=(
            "Redis refuses (READONLY)",
            "Redis has answered and refused for 30 seconds, with READONLY. Jobs that are queued or end "
            "meanwhile may "
            "fail.",
        ),
    ),
    Silent(
        alert="RQRedisRefusing",
        why="it loads for a while after a restart, and there is a failover",
        series={
            "rq_redis_up": "1x5 0x4 1x40",
            'rq_redis_refusing{code="LOADING"}': "0x5 1x4 0x40",
            'rq_redis_refusing{code="READONLY"}': "0x11 1x4 0x40",
        },
        at=85,
    ),
    Fires(
        alert="RQScrapeSlow",
        series={_SECONDS: "1.2x200"},
        at=300,
        says=(
            "Scrapes of the exporter are slow",
            "A scrape takes 1.2s on average. The exporter gives up on a Redis that needs 1.5s, Prometheus on "
            "the exporter after 4s; then nothing is seen.",
        ),
    ),
    Silent(alert="RQScrapeSlow", why="a second is in time", series={_SECONDS: "1x200"}, at=900),
    Silent(
        alert="RQScrapeSlow",
        why="the exporter is down, which has its own alert",
        series={_SECONDS: "4x200", _EXPORTER: "0x200", "rq_redis_up": ""},
        at=900,
        also=[Firing(alert="RQExporterDown")],
    ),
    Silent(
        alert="RQScrapeSlow",
        why="Redis was slow for a minute",
        series={_SECONDS: "0.05x60 1.4x12 0.05x100"},
        at=600,
    ),
    Fires(
        alert="RQScrapeErrors",
        labels={"reason": "key"},
        series={'rq_scrape_errors_total{reason="key"}': "0+1x200"},
        at=315,
        says=(
            "The exporter can't read everything (key)",
            "The exporter met 60 errors of the kind key in 5 minutes. Some numbers on the dashboards are "
            "missing.",
        ),
    ),
    Silent(
        alert="RQScrapeErrors",
        why="two scrapes of many were lost",
        series={'rq_scrape_errors_total{reason="timeout"}': "0x60 1x20 2x100"},
        at=500,
    ),
    Fires(
        alert=ALWAYS,
        series={},
        at=10,
        says=(
            "Alerts are evaluated and sent",
            "This alert always fires. Have something outside tell you when it stops arriving: then no other "
            "alert "
            "arrives either.",
        ),
    ),
    Fires(
        alert="RQAlertsNotDelivered",
        labels={"job": "alertmanager", "instance": "alertmanager"},
        series={_ALERTMANAGER: "1x11 0x100", _SENT: "0x11 1+1x100", _DROPPED: "0x100"},
        at=240,
        says=(
            "Alerts are not delivered",
            "alertmanager does not answer, or can't send what it has. Nobody is told of what fires.",
        ),
    ),
    Fires(
        alert="RQAlertsNotDelivered",
        labels={"job": "prometheus", "instance": "prometheus"},
        # One each minute: the alerts that fire are sent again so often.
        series={_SENT: "0x11 1x11 2x11 3x11 4x11 5x50", _DROPPED: "0x200"},
        at=240,
        says=(
            "Alerts are not delivered",
            "prometheus does not answer, or can't send what it has. Nobody is told of what fires.",
        ),
    ),
    Fires(
        alert="RQAlertsNotDelivered",
        labels={"job": "alertmanager", "instance": "alertmanager", "integration": "slack"},
        # Each second minute, after some that arrived.
        series={_ASKED: "7x11 8x23 9x23 10x50", _REFUSED: "0x11 1x23 2x23 3x50"},
        at=240,
        says=(
            "Alerts are not delivered",
            "Alertmanager's notifications by slack fail. Nobody is told of what fires.",
        ),
    ),
    Silent(
        alert="RQAlertsNotDelivered",
        why="what failed was long ago",
        series={_ASKED: "9x200", _REFUSED: "5x200", _SENT: "3x200", _DROPPED: "2x200"},
        at=600,
    ),
    Silent(
        alert="RQAlertsNotDelivered",
        why="Alertmanager restarted, and was away for half a minute",
        series={_ALERTMANAGER: "1x11 0x5 1x100", _SENT: "0x11 1 2 3 4 5 6x100", _DROPPED: "0x100"},
        at=240,
    ),
    Silent(
        alert="RQAlertsNotDelivered",
        why="one message failed, and was delivered two minutes later",
        series={_ASKED: "7x11 8x23 9x100", _REFUSED: "0x11 1x100"},
        at=240,
    ),
    Missing(
        alert="RQAlertsNotDelivered",
        series={_ALERTMANAGER: ""},
        firing=[Firing(alert="RQAlertsNotDelivered", labels={"job": "alertmanager", "instance": ""})],
    ),
    Missing(alert=ALWAYS, series={}, firing=[]),
)
