"""A worker's name, its settings, the serializer they name, and how often it shows a sign of life."""

import os
import socket
from typing import Any
from uuid import uuid4

from rq.defaults import DEFAULT_MAINTENANCE_TASK_INTERVAL, DEFAULT_WORKER_TTL
from rq.worker import BaseWorker

from scheduler.config import Settings, current
from scheduler.serializers import SERIALIZERS, Json

# In seconds: RQ's defaults, which its command line passes where no option is given, and what replaces them.
# An idle worker shows a sign of life 15 s before its `worker_ttl` has passed.
_INTERVALS = {
    "worker_ttl": (DEFAULT_WORKER_TTL, 30),
    "maintenance_interval": (DEFAULT_MAINTENANCE_TASK_INTERVAL, 30),
}


class Configured(BaseWorker):
    """With `RQ_SERIALIZER=json`, unpickle nothing, whatever RQ's command line or the caller's queues say.

    Args:
        queues: As RQ's worker takes them.
        name: By default host and process id, such as `web-1:4242:9f3a61`, so that a person finds the process.
            The end is random: a container that was killed starts again with the same host and id.
        args: Further arguments of RQ's worker.
        settings: By default those of the environment, since RQ's command line passes none.
        kwargs: Its keyword arguments.
    """

    def __init__(
        self,
        queues: Any,
        name: str | None = None,
        *args: Any,
        settings: Settings | None = None,
        **kwargs: Any,
    ) -> None:
        name = name or f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}"
        for option, (of_rq, ours) in _INTERVALS.items():
            if kwargs.get(option) in (None, of_rq):
                kwargs[option] = ours
        super().__init__(queues, name, *args, **kwargs)
        self.settings = settings or current()
        if SERIALIZERS[self.settings.serializer] is Json:
            self.serializer = Json
            for queue in self.queues:
                queue.serializer = Json  # its registries read jobs too
