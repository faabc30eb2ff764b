"""Cases of dashboards/alerts/workers.py."""

from tests.alert_cases.case import Case, Fires, Firing, Silent

_Q = {"queue": "q"}
_BUSY, _IDLE = 'rq_workers_by_state{state="busy"}', 'rq_workers_by_state{state="idle"}'
_AGE, _QUEUED = 'rq_queue_oldest_job_age_seconds{queue="q"}', 'rq_jobs{queue="q", status="queued"}'
_LISTENING = 'rq_queue_workers{queue="q"}'
_BEAT, _STALE = "rq_worker_heartbeat_age_max_seconds", "rq_workers_stale"
# Signs of life each 15 s for ten minutes.
_LIVES = "0 5 10 " * 40
_KILLED = 'rq_work_horses_killed_total{queue="q"}'
# Its sign of life gets old, and then its key is gone.
_ONE_DIED = {_BUSY: "0x900", _IDLE: "3x250 2x100", _BEAT: "5x244 15+15x5 5x100", _STALE: "0x248 1x1 0x100"}
_SATURATED = (
    "There are too few workers",
    "Workers have been busy for 90% of 5 minutes, and jobs wait longer than their queue's objective.",
)

CASES: tuple[Case, ...] = (
    Fires(
        alert="RQWorkersSaturated",
        series={_BUSY: "9x300", _IDLE: "1x300", _AGE: "31x300", _QUEUED: "9x300", _LISTENING: "10x300"},
        at=60,
        says=_SATURATED,
    ),
    Fires(
        alert="RQWorkersSaturated",
        series={_BUSY: "9x300", _IDLE: "1x300", _AGE: "31x300", _QUEUED: "9x300", _LISTENING: "10x300"},
        at=400,
        no_edge=True,
        also=[Firing(alert="RQQueueLatencyHigh", labels=_Q)],
        says=_SATURATED,
    ),
    Silent(
        alert="RQWorkersSaturated",
        why="they are busy and no job waits too long",
        series={_BUSY: "10x300", _IDLE: "0x300", _AGE: "30x300", _QUEUED: "9x300", _LISTENING: "10x300"},
        at=1200,
    ),
    Silent(
        alert="RQWorkersSaturated",
        why="what waits waits in a queue that nobody listens to",
        series={
            _BUSY: "9x300",
            _IDLE: "1x300",
            _AGE: "31x300",
            _QUEUED: "9x300",
            _LISTENING: "0x300",
        },
        at=900,
        also=[Firing(alert="RQQueueNoWorkers", labels=_Q), Firing(alert="RQQueueLatencyHigh", labels=_Q)],
    ),
    Silent(
        alert="RQWorkersSaturated",
        why="one in nine is idle",
        series={_BUSY: "8x300", _IDLE: "1x300", _AGE: "31x300", _QUEUED: "9x300", _LISTENING: "10x300"},
        at=1200,
        also=[Firing(alert="RQQueueLatencyHigh", labels=_Q)],
    ),
    Fires(
        alert="RQWorkerHeartbeatStale",
        series={_BEAT: f"{_LIVES}0+5x18", _STALE: "0x132 1x5"},
        at=675,
        says=(
            "A worker shows no sign of life",
            "A registered worker's sign of life is overdue. The oldest of all workers is 1m 15s old.",
        ),
    ),
    Fires(
        alert="RQWorkerHeartbeatStale",
        # Its key has ended: nothing says that it lives again.
        series={_BEAT: f"{_LIVES}0+5x18 {_LIVES}", _STALE: "0x132 1x5 0x120"},
        at=1000,
        no_edge=True,
        says=(
            "A worker shows no sign of life",
            "A registered worker's sign of life is overdue. The oldest of all workers is 1m 30s old.",
        ),
    ),
    Silent(
        alert="RQWorkerHeartbeatStale",
        why="a plain rq worker falls idle beside others, and needs seven minutes",
        series={_BEAT: f"{_LIVES}0+5x80 0+5x80 0+5x80", _STALE: "0x400"},
        at=1000,
    ),
    Silent(
        alert="RQWorkerHeartbeatStale",
        why="Redis was away for two minutes, and is back",
        series={
            "rq_redis_up": "1x119 0x24 1x100",
            _BEAT: f"{_LIVES}_x24 130 135 140 0x100",
            _STALE: "0x119 _x24 3x2 0x100",
        },
        at=735,
    ),
    Fires(
        alert="RQHorsesKilled",
        labels=_Q,
        series={
            _KILLED: "0x59 1x100",
            'rq_jobs_processed_total{queue="q", function="f", outcome="abandoned"}': "0x59 1x100",
        },
        at=300,
        says=(
            "Processes of q's jobs are killed",
            "1 processes were killed, or exited, in 15 minutes before they had finished their job of q.",
        ),
    ),
    Silent(
        alert="RQHorsesKilled", why="it was half an hour ago", series={_KILLED: "0x9 1x60"}, step=60, at=2400
    ),
    Fires(
        alert="RQWorkersGone",
        series=_ONE_DIED,
        step=15,
        at=4500,
        no_edge=True,
        says=(
            "Workers died",
            "2 workers are left, fewer than an hour ago, and one or more went without being stopped.",
        ),
    ),
    Fires(
        alert="RQWorkerHeartbeatStale",
        series=_ONE_DIED,
        step=15,
        at=4065,
        no_edge=True,
        also=[Firing(alert="RQWorkersGone")],
        says=(
            "A worker shows no sign of life",
            "A registered worker's sign of life is overdue. The oldest of all workers is 1m 30s old.",
        ),
    ),
    Silent(
        alert="RQWorkersGone",
        why="one was stopped, and said goodbye",
        series={_BUSY: "0x900", _IDLE: "3x250 2x200", _BEAT: "5x1000", _STALE: "0x1000"},
        step=15,
        at=4500,
    ),
    Silent(
        alert="RQWorkersGone",
        why="one died, and another took its place",
        series={
            _BUSY: "0x1000",
            _IDLE: "3x250 2x10 3x200",
            _BEAT: "5x244 15+15x5 5x200",
            _STALE: "0x248 1x1 0x200",
        },
        step=15,
        at=4700,
    ),
)
