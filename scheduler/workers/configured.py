"""A worker's settings, and the serializer they name."""

from typing import Any

from rq.worker import BaseWorker

from scheduler.config import Settings, current
from scheduler.serializers import SERIALIZERS, Json


class Configured(BaseWorker):
    """With `RQ_SERIALIZER=json`, unpickle nothing, whatever RQ's command line or the caller's queues say.

    Args:
        settings: By default those of the environment, since RQ's command line passes none.
        args: The arguments of RQ's worker.
        kwargs: Its keyword arguments.
    """

    def __init__(self, *args: Any, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = settings or current()
        if SERIALIZERS[self.settings.serializer] is Json:
            self.serializer = Json
            for queue in self.queues:
                queue.serializer = Json  # its registries read jobs too
