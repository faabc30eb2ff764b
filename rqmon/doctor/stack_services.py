"""The services of the stack that was started here, looked at beside Redis."""

import threading
from collections.abc import Mapping

from rqmon.stack import runs
from rqmon.stack.environment import StackConfig
from scheduler.errors import SchedulerError


class Services:
    """Asks each service, in a thread of its own: one that hangs takes longer than the doctor has."""

    def __init__(self, config: StackConfig) -> None:
        self._config = config
        run = runs.recall(config)
        self.has_stack = run is not None
        self._unhealthy: Mapping[str, str] | None = None
        self._thread = threading.Thread(target=self._ask, args=(run.mode if run else "",), daemon=True)
        if run is not None:
            self._thread.start()

    def unhealthy(self, *, seconds: float) -> Mapping[str, str] | None:
        """What is wrong with each service that is not well; None if they have not said it in that time."""
        if not self.has_stack:
            return {}
        self._thread.join(seconds)
        return self._unhealthy

    def _ask(self, mode: str) -> None:
        # Imported here: they bring what takes half a second, and is of no use where no stack runs.
        from rqmon.stack.compose import ComposeStack
        from rqmon.stack.native.backend import NativeStack

        try:
            backend = ComposeStack(self._config) if mode == "docker" else NativeStack(self._config)
            self._unhealthy = {
                it.service.name: it.description for it in backend.states() if not it.is_healthy
            }
        except (SchedulerError, OSError, ImportError) as error:
            self._unhealthy = {"supervisor" if mode == "native" else "docker": str(error)}
