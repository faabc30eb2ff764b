"""Run the jobs of the long-running queue, each in a process of its own, until told to stop."""

from rqmon.entry_point import logged_process
from scheduler import LONG_RUNNING_QUEUE, Scheduler

if __name__ == "__main__":
    with logged_process("long-running-worker"), Scheduler("fork") as scheduler:
        scheduler.work(LONG_RUNNING_QUEUE, with_scheduler=True)
