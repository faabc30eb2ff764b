"""Workers, and how each execution is recorded."""

from scheduler.workers.strategies import InProcessWorker, RecordingWorker

__all__ = ["InProcessWorker", "RecordingWorker"]
