"""Cases of dashboards/alerts/stack.py about Redis' memory and disk."""

from tests.alert_cases.case import Case, Fires, Firing, Silent

_SAVED, _CHANGES = "rq_redis_last_save_timestamp_seconds", "rq_redis_changes_since_last_save"

CASES: tuple[Case, ...] = (
    Fires(
        alert="RQRedisMemoryHigh",
        series={"rq_redis_memory_used_bytes": "95x200", "rq_redis_memory_max_bytes": "100x200"},
        at=300,
        says=(
            "Redis' memory is nearly full",
            "Redis uses 95% of its maxmemory. At 100% it refuses new jobs, or drops keys.",
        ),
    ),
    Silent(
        alert="RQRedisMemoryHigh",
        why="89% are used",
        series={"rq_redis_memory_used_bytes": "89x200", "rq_redis_memory_max_bytes": "100x200"},
        at=900,
    ),
    Silent(
        alert="RQRedisMemoryHigh",
        why="there is no limit",
        series={"rq_redis_memory_used_bytes": "95x200", "rq_redis_memory_max_bytes": "0x200"},
        at=900,
    ),
    Fires(
        alert="RQRedisEvicting",
        series={
            "rq_redis_evicted_keys_total": "7x60 57x60",
            "rq_redis_memory_used_bytes": "99x200",
            "rq_redis_memory_max_bytes": "100x200",
        },
        at=305,
        also=[Firing(alert="RQRedisMemoryHigh")],
        says=(
            "Redis drops keys for lack of memory",
            "Redis dropped 50 keys in 10 minutes. Jobs may be among them, and nothing brings those back.",
        ),
    ),
    Silent(
        alert="RQRedisEvicting",
        why="it dropped some long ago",
        series={"rq_redis_evicted_keys_total": "57x200"},
        at=900,
    ),
    Fires(
        alert="RQRedisNotPersisting",
        labels={"kind": "aof"},
        series={'rq_redis_last_write_ok{kind="aof"}': "1x11 0x100"},
        at=360,
        says=(
            "Redis does not write its data to disk (aof)",
            "The last write of aof failed. When Redis restarts, jobs are lost.",
        ),
    ),
    Fires(
        alert="RQRedisNotPersisting",
        labels={"kind": "none"},
        series={"rq_redis_aof_enabled": "0x300", _SAVED: "0x300", _CHANGES: "7x300"},
        step=60,
        at=7560,
        says=(
            "Redis does not write its data to disk (none)",
            "Redis has no append-only file, and has saved no change for 2 hours. When Redis restarts, jobs "
            "are lost.",
        ),
    ),
    Silent(
        alert="RQRedisNotPersisting",
        why="nothing has changed since its last snapshot",
        series={"rq_redis_aof_enabled": "0x300", _SAVED: "0x300", _CHANGES: "0x300"},
        step=60,
        at=14000,
    ),
    Silent(
        alert="RQRedisNotPersisting",
        why="it saves a snapshot each hour",
        series={
            "rq_redis_aof_enabled": "0x300",
            _SAVED: "0x59 3600x59 7200x59 10800x59",
            _CHANGES: "7x300",
            'rq_redis_last_write_ok{kind="rdb"}': "1x300",
        },
        step=60,
        at=14000,
    ),
    Silent(
        alert="RQRedisNotPersisting",
        why="it has an append-only file",
        series={"rq_redis_aof_enabled": "1x300", _SAVED: "0x300", _CHANGES: "7x300"},
        step=60,
        at=14000,
    ),
)
