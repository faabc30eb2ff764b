"""A worker's settings, and the serializer that they name."""

from typing import Any

from rq.worker import BaseWorker

from scheduler.config import Settings, current
from scheduler.serializers import SERIALIZERS, Json


class Configured(BaseWorker):
    """Under `RQ_SERIALIZER=json` unpickle nothing, whatever RQ's command line or the caller's queues say.

    Args:
        settings: By default those of the environment, as RQ's command line hands over none.
        args: What RQ's worker takes.
        kwargs: The same.
    """

    def __init__(self, *args: Any, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.settings = settings or current()
        if SERIALIZERS[self.settings.serializer] is Json:
            self.serializer = Json
            for queue in self.queues:
                queue.serializer = Json  # its registries read jobs too
