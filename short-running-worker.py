"""Run the jobs of the short-running queue, each in a process of its own, until told to stop."""

from rqmon.entry_point import logged_process
from scheduler import SHORT_RUNNING_QUEUE, Scheduler

if __name__ == "__main__":
    with logged_process("short-running-worker"), Scheduler("fork") as scheduler:
        scheduler.work(SHORT_RUNNING_QUEUE, with_scheduler=True)
