"""Cases of dashboards/alerts/queues.py."""

from tests.alert_cases.case import Case, Fires, Firing, Silent

_Q = {"queue": "q"}
_QUEUED, _STARTED = 'rq_jobs{queue="q", status="queued"}', 'rq_jobs{queue="q", status="started"}'
_WORKERS = 'rq_queue_workers{queue="q"}'
_AGE = 'rq_queue_oldest_job_age_seconds{queue="q"}'
_IDLE = 'rq_workers{name="w", state="idle", queues="q"}'
_DONE = 'rq_jobs_processed_total{queue="q", function="f", outcome="succeeded"}'
# Two jobs wait, the first since the beginning, and nothing happens.
_STANDS = {_QUEUED: "2x800", _STARTED: "0x800", _WORKERS: "1x800", _AGE: "0+5x800"}
_LATE = Firing(alert="RQQueueLatencyHigh", labels=_Q)

CASES: tuple[Case, ...] = (
    Fires(
        alert="RQQueueNoWorkers",
        labels=_Q,
        series={_QUEUED: "0x11 7x100", _WORKERS: "0x200"},
        at=180,
        says=("Nobody works on q", "7 jobs wait in q, and no worker listens to it."),
    ),
    Fires(
        alert="RQQueueNoWorkers",
        labels=_Q,
        series={_QUEUED: "7x200", _WORKERS: "0x200", _AGE: "0+5x200"},
        at=500,
        no_edge=True,
        also=[_LATE],
        says=("Nobody works on q", "7 jobs wait in q, and no worker listens to it."),
    ),
    Fires(
        alert="RQQueueNoWorkers",
        labels={"queue": "a b&c", "redis": "redis-1:6379/0"},
        series={
            'rq_jobs{queue="a b&c", status="queued", redis="redis-1:6379/0"}': "7x200",
            'rq_queue_workers{queue="a b&c", redis="redis-1:6379/0"}': "0x200",
        },
        at=120,
        says=("Nobody works on a b&c", "7 jobs wait in a b&c, and no worker listens to it."),
    ),
    Silent(
        alert="RQQueueNoWorkers",
        why="a deploy stops the workers for less than 2 minutes",
        series={_QUEUED: "7x200", _WORKERS: "1x11 0x23 1x100"},
        at=180,
    ),
    Silent(
        alert="RQQueueNoWorkers",
        why="nobody listens and nothing waits",
        series={_QUEUED: "0x200", _WORKERS: "0x200"},
        at=900,
    ),
    Silent(
        alert="RQQueueNoWorkers",
        why="on another server a queue of that name has none, and no jobs",
        series={
            'rq_jobs{queue="q", status="queued", redis="a"}': "7x200",
            'rq_queue_workers{queue="q", redis="a"}': "1x200",
            'rq_jobs{queue="q", status="queued", redis="b"}': "0x200",
            'rq_queue_workers{queue="q", redis="b"}': "0x200",
        },
        at=900,
    ),
    Fires(
        alert="RQQueueStalled",
        labels=_Q,
        series=_STANDS,
        at=605,
        also=[_LATE],
        says=(
            "q stands still",
            "The oldest job of q has waited for 10m 5s, workers listen, and none has ended or run a job for "
            "5 minutes.",
        ),
    ),
    Fires(
        alert="RQQueueStalled",
        labels=_Q,
        # A job that was lost is started for ever, and an idle worker could take the others.
        series={**_STANDS, _STARTED: "1x800", _IDLE: "1x800"},
        at=605,
        also=[_LATE],
        says=(
            "q stands still",
            "The oldest job of q has waited for 10m 5s, workers listen, and none has ended or run a job for "
            "5 minutes.",
        ),
    ),
    Silent(
        alert="RQQueueStalled",
        why="its worker is busy with a long job",
        series={**_STANDS, _STARTED: "1x800"},
        at=900,
        also=[_LATE],
    ),
    Silent(
        alert="RQQueueStalled",
        why="it is slow, and jobs end",
        series={**_STANDS, _DONE: "0x20 1x40 2x40 3x40 4x40"},
        at=700,
        also=[_LATE],
    ),
    Silent(
        alert="RQQueueStalled",
        why="somebody suspended RQ, which has its own alert",
        series={**_STANDS, "rq_suspended": "1x800"},
        at=900,
        also=[Firing(alert="RQQueueSuspended")],
    ),
    Fires(
        alert="RQQueueLatencyHigh",
        labels=_Q,
        series={_QUEUED: "2x200", _AGE: "31x200"},
        at=300,
        says=(
            "Jobs of q wait long",
            "The oldest job of q has waited for 31s; for 5 minutes it has been more than the queue's "
            "objective.",
        ),
    ),
    Silent(
        alert="RQQueueLatencyHigh",
        why="the objective is kept, and of another queue's, which may wait longer",
        series={
            _QUEUED: "2x200",
            _AGE: "30x200",
            'rq_jobs{queue="long", status="queued"}': "2x200",
            'rq_queue_oldest_job_age_seconds{queue="long"}': "300x200",
        },
        at=900,
    ),
    Silent(
        alert="RQQueueLatencyHigh",
        why="the queue has got empty",
        series={_QUEUED: "2x59 0x100", _AGE: "31x59 0x100"},
        at=700,
    ),
    Fires(
        alert="RQQueueNotDraining",
        labels=_Q,
        # Ten come each minute and one is done.
        series={_QUEUED: "0+9x100", _STARTED: "1x100", _WORKERS: "1x100", _DONE: "0+1x100", _AGE: "0+54x100"},
        step=60,
        at=1320,
        no_edge=True,
        also=[_LATE],
        says=(
            "q grows faster than it is worked on",
            "At its present pace q needs 3h 18m 0s to get empty, and it has grown for half an hour.",
        ),
    ),
    Silent(
        alert="RQQueueNotDraining",
        why="much waits and it gets less",
        series={_QUEUED: "900-1x100", _STARTED: "1x100", _WORKERS: "1x100", _DONE: "0+1x100"},
        step=60,
        at=3600,
    ),
    Silent(
        alert="RQQueueNotDraining",
        why="it grows and nothing ends, so there is no pace",
        series={_QUEUED: "0+9x100", _DONE: "7x100"},
        step=60,
        at=3600,
    ),
    Silent(
        alert="RQQueueNotDraining",
        why="it grows and is soon empty",
        series={_QUEUED: "10+0.1x100", _STARTED: "1x100", _WORKERS: "1x100", _DONE: "0+1x100"},
        step=60,
        at=3600,
    ),
    Fires(
        alert="RQIntermediateQueueStuck",
        labels=_Q,
        series={'rq_queue_intermediate_jobs{queue="q"}': "0x11 1x300"},
        at=720,
        says=(
            "Jobs of q are stuck before their start",
            "1 jobs or more were taken from q and did not start, for 10 minutes.",
        ),
    ),
    Silent(
        alert="RQIntermediateQueueStuck",
        why="they are seen for less than 10 minutes",
        series={'rq_queue_intermediate_jobs{queue="q"}': "_x11 1x300"},
        at=655,
    ),
    Silent(
        alert="RQIntermediateQueueStuck",
        why="jobs pass through",
        series={'rq_queue_intermediate_jobs{queue="q"}': "1x100 0 1x100 0 1x100"},
        at=900,
    ),
    Fires(
        alert="RQScheduledOverdue",
        labels=_Q,
        series={
            'rq_queue_scheduled_overdue_jobs{queue="q"}': "0x11 3x200",
            'rq_queue_scheduled_delay_seconds{queue="q"}': "0x11 1+5x200",
        },
        at=240,
        says=(
            "Scheduled jobs of q are not queued",
            "3 jobs of q are due, the first for more than 60 seconds, and nobody queues them.",
        ),
    ),
    Fires(
        alert="RQQueueNoWorkers",
        labels=_Q,
        series={
            _QUEUED: "7x200",
            _WORKERS: "0x200",
            'rq_queue_scheduled_overdue_jobs{queue="q"}': "3x200",
            'rq_queue_scheduled_delay_seconds{queue="q"}': "61x200",
        },
        at=120,
        also=[Firing(alert="RQScheduledOverdue", labels=_Q)],
        says=("Nobody works on q", "7 jobs wait in q, and no worker listens to it."),
    ),
    Silent(
        alert="RQScheduledOverdue",
        why="they are queued a minute after their time",
        series={
            'rq_queue_scheduled_overdue_jobs{queue="q"}': "3x200",
            'rq_queue_scheduled_delay_seconds{queue="q"}': "60x200",
        },
        at=900,
    ),
    Fires(
        alert="RQDeferredStuck",
        labels=_Q,
        series={'rq_jobs{queue="q", status="deferred"}': "0x9 2x50 3x200"},
        step=60,
        at=8100,
        says=(
            "Jobs of q wait for other jobs in vain",
            "2 jobs or more of q have waited for other jobs for 2 hours, and not one was released.",
        ),
    ),
    Silent(
        alert="RQDeferredStuck",
        why="they are seen for less than 2 hours",
        series={'rq_jobs{queue="q", status="deferred"}': "_x9 2x300"},
        step=60,
        at=7700,
    ),
    Silent(
        alert="RQDeferredStuck",
        why="some are released, as others come",
        series={'rq_jobs{queue="q", status="deferred"}': "2x60 3x60 2x60 3x60 2x60"},
        step=60,
        at=14000,
    ),
    Fires(
        alert="RQQueueSuspended",
        series={"rq_suspended": "0x11 1x300"},
        at=660,
        says=("RQ is suspended", "For 10 minutes workers have been told to take no jobs from any queue."),
    ),
    Silent(
        alert="RQQueueSuspended",
        why="it was suspended for 9 minutes",
        series={"rq_suspended": "0x11 1x108 0x200"},
        at=660,
    ),
)
