"""Alerts about cron: slots that do not become jobs in time."""

from dashboards.alerts.model import SERVER, Alert, events
from rqmon.thresholds import CRON_OVERDUE, CRON_SLOTS


def _slots(outcome: str, window: str) -> str:
    return events(f'rq_cron_slots_total{{outcome="{outcome}"}}', by=f"{SERVER}, entry", window=window)


ALERTS = (
    Alert(
        name="RQCronNoProcess",
        fault="No cron process runs.",
        expr="rq_cron_entries > 0 and rq_cron_processes == 0",
        for_seconds=120,
        severity="critical",
        summary="No cron process runs",
        description='{{ $value | printf "%.0f" }} cron entries are registered, and no process queues their '
        "jobs.",
        dashboard="rq-cron",
        panel="Cron processes",
    ),
    Alert(
        name="RQCronMissed",
        fault="No cron process ran when slots were due.",
        expr=f"{_slots('missed', '15m')} > 0",
        for_seconds=0,
        severity="warning",
        summary="Slots of {{ $labels.entry }} were missed",
        description='{{ $value | printf "%.0f" }} slots of {{ $labels.entry }} got no job in 15 minutes, as '
        "no cron process "
        "was there in time.",
        dashboard="rq-cron",
        panel="Slots by outcome",
    ),
    Alert(
        name="RQCronLate",
        fault="The cron process or Redis is too slow, or stops now and then.",
        expr=f"{_slots('late', '1h')} >= {CRON_SLOTS}",
        for_seconds=0,
        severity="warning",
        summary="{{ $labels.entry }} is queued late",
        description='{{ $value | printf "%.0f" }} slots of {{ $labels.entry }} in an hour were queued later '
        "than the entry "
        "allows.",
        dashboard="rq-cron",
        panel="Lateness",
    ),
    Alert(
        name="RQCronOverlapping",
        fault="An entry's jobs take longer than the time between its slots.",
        expr=f"{_slots('skipped', '1h')} >= {CRON_SLOTS}",
        for_seconds=0,
        severity="info",
        summary="Slots of {{ $labels.entry }} are skipped",
        description='{{ $value | printf "%.0f" }} slots of {{ $labels.entry }} in an hour were skipped, as '
        "the job before "
        "was not done.",
        dashboard="rq-cron",
        panel="Slots of each entry",
    ),
    Alert(
        name="RQCronStuck",
        fault="A cron process runs and can't queue an entry's job.",
        expr=f"time() - rq_cron_next_run_timestamp_seconds > {CRON_OVERDUE.alert} "
        f"and on ({SERVER}) rq_cron_processes > 0",
        for_seconds=120,
        severity="critical",
        summary="{{ $labels.entry }} is due and is not queued",
        description="The next run of {{ $labels.entry }} was {{ $value | humanizeDuration }} ago, and a "
        "cron process runs.",
        dashboard="rq-cron",
        panel="Entries",
    ),
)
