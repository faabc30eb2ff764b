"""A worker's name, its settings, and the serializer they name."""

import os
import socket
from typing import Any
from uuid import uuid4

from rq.worker import BaseWorker

from scheduler.config import Settings, current
from scheduler.serializers import SERIALIZERS, Json


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
        super().__init__(queues, name, *args, **kwargs)
        self.settings = settings or current()
        if SERIALIZERS[self.settings.serializer] is Json:
            self.serializer = Json
            for queue in self.queues:
                queue.serializer = Json  # its registries read jobs too
