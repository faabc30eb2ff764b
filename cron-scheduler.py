"""Register this file's cron entries, then queue each one's job when its time comes, until told to stop."""

from rqmon.demo.jobs import queue_health_check
from rqmon.entry_point import installed_version, logged_process
from scheduler import CronProcess, job_scheduler
from scheduler.cron.constants import EVERY_TEN_MINUTES


def schedule_jobs() -> None:
    """Every cron entry of this program; what is taken out here is gone at the next start."""
    job_scheduler(
        function=queue_health_check,
        cron=EVERY_TEN_MINUTES,
        description="Queue health check",
    )
    # Add your team's own here, one job_scheduler(..., cron=...) each. The constants are in
    # scheduler.cron.constants; any five-field expression works, for example cron="30 8 * * MON-FRI".


if __name__ == "__main__":
    with logged_process("cron-scheduler"):
        CronProcess(schedule_jobs, version=installed_version()).run()
