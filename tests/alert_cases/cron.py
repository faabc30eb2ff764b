"""Cases of dashboards/alerts/cron.py."""

from tests.alert_cases.case import Case, Fires, Firing, Silent

_E = {"entry": "e"}
_NEXT = 'rq_cron_next_run_timestamp_seconds{entry="e"}'


def _slots(outcome: str, values: str) -> dict[str, str]:
    return {f'rq_cron_slots_total{{entry="e", outcome="{outcome}"}}': values}


CASES: tuple[Case, ...] = (
    Fires(
        alert="RQCronNoProcess",
        series={"rq_cron_entries": "4x200", "rq_cron_processes": "1x11 0x100"},
        at=180,
        says=("No cron process runs", "4 cron entries are registered, and no process queues their jobs."),
    ),
    Fires(
        alert="RQCronNoProcess",
        series={"rq_cron_entries": "4x200", "rq_cron_processes": "0x200", _NEXT: "0x200"},
        at=300,
        no_edge=True,
        says=("No cron process runs", "4 cron entries are registered, and no process queues their jobs."),
    ),
    Silent(
        alert="RQCronNoProcess",
        why="it restarts",
        series={"rq_cron_entries": "4x200", "rq_cron_processes": "1x11 0x23 1x100"},
        at=180,
    ),
    Silent(
        alert="RQCronNoProcess",
        why="there is nothing to queue",
        series={"rq_cron_entries": "0x200", "rq_cron_processes": "0x200"},
        at=900,
    ),
    Fires(
        alert="RQCronMissed",
        labels=_E,
        # Eleven at once, when the process was back.
        series={**_slots("ran", "5x300"), **_slots("missed", "0x59 11x200")},
        at=300,
        says=(
            "Slots of e were missed",
            "11 slots of e got no job in 15 minutes, as no cron process was there in time.",
        ),
    ),
    Silent(
        alert="RQCronMissed",
        why="they were missed before",
        series={**_slots("ran", "5+1x300"), **_slots("missed", "11x300")},
        at=900,
    ),
    Fires(
        alert="RQCronLate",
        labels=_E,
        series=_slots("late", "0x59 1x59 2x59 3x200"),
        at=900,
        says=("e is queued late", "3 slots of e in an hour were queued later than the entry allows."),
    ),
    Silent(alert="RQCronLate", why="two were late", series=_slots("late", "0x59 1x59 2x400"), at=1500),
    Fires(
        alert="RQCronOverlapping",
        labels=_E,
        series=_slots("skipped", "0x59 1x59 2x59 3x200"),
        at=900,
        says=(
            "Slots of e are skipped",
            "3 slots of e in an hour were skipped, as the job before was not done.",
        ),
    ),
    Silent(
        alert="RQCronOverlapping", why="two were skipped", series=_slots("skipped", "0x59 2x400"), at=1500
    ),
    Fires(
        alert="RQCronStuck",
        labels=_E,
        series={_NEXT: "100x200", "rq_cron_processes": "1x200"},
        at=285,
        says=(
            "e is due and is not queued",
            "The next run of e was 3m 5s ago, and a cron process runs.",
        ),
    ),
    Silent(
        alert="RQCronStuck",
        why="each slot gets its job within a minute",
        series={_NEXT: "0x11 60x11 120x11 180x11 240x11 300x11", "rq_cron_processes": "1x200"},
        at=350,
    ),
    Silent(
        alert="RQCronStuck",
        why="no cron process runs, which has its own alert",
        series={_NEXT: "100x200", "rq_cron_entries": "1x200", "rq_cron_processes": "0x200"},
        at=900,
        also=[Firing(alert="RQCronNoProcess")],
    ),
    Silent(
        alert="RQCronStuck",
        why="it is paused",
        series={_NEXT: "", "rq_cron_entries": "1x200", "rq_cron_processes": "1x200"},
        at=900,
    ),
)
