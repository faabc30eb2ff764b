"""What a drill acts on: the stack's processes, its Redis, and commands of the runbooks."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import psutil
from redis import Redis
from rq import Queue
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job

from dashboards.drills.receiver import Receiver
from dashboards.verify.own_stack import OwnStack
from rqmon.stack.native.supervisor import Supervisor
from rqmon.stack.services import ALERTMANAGER, PROMETHEUS
from scheduler import Scheduler
from scheduler.errors import SchedulerError

_COMMAND_SECONDS = 150
# What the runbooks begin with.
_FIRST = 'export RQ_REDIS_URL="$(.venv/bin/dotenv get RQ_REDIS_URL)"'
_SETTLE_SECONDS = 60.0
_ASK_SECONDS = 0.2


class DrillError(SchedulerError):
    """A drill does not hold."""


class Stage:
    """A started stack whose alerts come to a receiver.

    Attributes:
        redis: Its Redis.
        receiver: What is told.
        scheduler: Queues jobs there.
        log: What commands of runbooks printed last.
    """

    def __init__(self, stack: OwnStack, told: Receiver) -> None:
        self.redis: Any = Redis.from_url(stack.config.variables["RQ_REDIS_URL"])
        self.receiver = told
        self.scheduler = Scheduler(connection=self.redis)
        self.log = ""
        self._stack = stack
        self._supervisor = Supervisor(stack.config)
        self._calm = threading.Event()
        self._threads: list[threading.Thread] = []
        self._started: list[subprocess.Popen[bytes]] = []

    def stop(self, *services: str) -> None:
        """Have services end, and wait until they have."""
        for service in services:
            self._supervisor.stop(service)
        self.wait(lambda: all(not self.pid(service) for service in services), f"{services} end")

    def start(self, service: str) -> None:
        """Have a service run."""
        self._supervisor.start(service)

    def pid(self, service: str) -> int:
        """A service's process; 0 when it does not run."""
        return self._supervisor.programs()[service].pid

    def signal(self, service: str, number: signal.Signals) -> None:
        """Send a signal to a service's own process."""
        os.kill(self.pid(service), number)

    def queue(self, name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Job:
        """Queue a job."""
        return self.scheduler.enqueue(name, function, *args, **options)

    def repeat(self, action: Callable[[], object], *, every_seconds: float) -> None:
        """Do something again and again, until `calm`."""

        def run() -> None:
            while not self._calm.wait(every_seconds):
                with contextlib.suppress(Exception):  # Redis may be full or away: that is the drill
                    action()

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def calm(self) -> None:
        """End what is repeated."""
        self._calm.set()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        self._calm.clear()

    def command(self, text: str, *, stays: bool = False, codes: Sequence[int] = (0,)) -> None:
        """Run a line of a runbook as somebody would, in the project's folder; do not wait for one that stays.

        Raises:
            DrillError: It ends with no code of these, or not at all.
        """
        line = f"{_FIRST}; {'exec ' if stays else ''}{text}"
        process = subprocess.Popen(  # noqa: S603 (the runbooks' words)
            ["/bin/bash", "-c", line],
            cwd=self._stack.folder,
            env=self._stack.environment,
            stdin=subprocess.DEVNULL if stays else subprocess.PIPE,
            stdout=subprocess.DEVNULL if stays else subprocess.PIPE,
            stderr=subprocess.DEVNULL if stays else subprocess.STDOUT,
            start_new_session=True,
        )
        if stays:
            self._started.append(process)
            return
        try:
            # Who runs it says yes where it asks.
            said, _ = process.communicate(b"y\n", timeout=_COMMAND_SECONDS)
            self.log = said.decode(errors="replace")
        except subprocess.TimeoutExpired:
            raise DrillError(f"{text} does not end") from None
        finally:  # also when the drill is interrupted: a start must not go on while the stack is stopped
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if process.returncode not in codes:
            raise DrillError(f"{text} ended with {process.returncode}: {' '.join(self.log.split())[-300:]}")

    def doctor(self) -> list[str]:
        """The facts that `rqmon doctor` finds wrong."""
        self.command(".venv/bin/rqmon doctor --json", codes=(0, 1, 2))
        return [finding["fact"] for finding in json.loads(self.log)["findings"]]

    def set_variable(self, name: str, value: str) -> None:
        """Add a line to `.env`; the last one counts."""
        with self._stack.config.env_file.open("a") as file:
            file.write(f"{name}={value}\n")

    def last_started(self) -> psutil.Process:
        """The process of the last command that stays."""
        return psutil.Process(self._started[-1].pid)

    def tidy(self) -> None:
        """End what the drill has started, and delete all jobs, so that the next one begins with none."""
        self.calm()
        for process in self._started:
            for number in (signal.SIGCONT, signal.SIGTERM):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)
        for process in self._started:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._started.clear()
        for queue in Queue.all(connection=self.redis):
            for job_id in queue.started_job_registry.get_job_ids(cleanup=False):
                with contextlib.suppress(NoSuchJobError, InvalidJobOperation):  # it has ended
                    send_stop_job_command(self.redis, job_id)
            queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it untyped
            for status in ("failed", "finished", "scheduled", "deferred", "canceled"):
                registry = getattr(queue, f"{status}_job_registry")
                for job_id in registry.get_job_ids(cleanup=False):
                    with contextlib.suppress(NoSuchJobError):  # its key was evicted, or has ended
                        registry.remove(job_id, delete_job=True)
                    registry.remove(job_id)

    def firing(self) -> dict[str, str]:
        """{name: severity} of what fires, by Prometheus."""
        found = self._ask(PROMETHEUS.address(self._stack.config), "/api/v1/alerts")
        alerts = found["data"]["alerts"] if isinstance(found, dict) else []
        return {
            alert["labels"]["alertname"]: alert["labels"]["severity"]
            for alert in alerts
            if alert["state"] == "firing"
        }

    def at_alertmanager(self) -> set[str]:
        """The names of alerts that Alertmanager has."""
        found = self._ask(ALERTMANAGER.address(self._stack.config), "/api/v2/alerts")
        return {alert["labels"]["alertname"] for alert in found if isinstance(alert, dict)}

    def wait(self, until: Callable[[], object], what: str, *, seconds: float = _SETTLE_SECONDS) -> None:
        """Wait until something holds.

        Raises:
            DrillError: It does not, in time.
        """
        deadline = time.monotonic() + seconds
        while not until():
            if time.monotonic() > deadline:
                raise DrillError(f"not within {seconds:.0f} s: {what}")
            time.sleep(_ASK_SECONDS)

    def _ask(self, url: str, path: str) -> Any:
        """What an API answers; nothing while it is away."""
        try:
            answer = httpx.get(f"{url}{path}", trust_env=False, timeout=5)
            return answer.json() if answer.is_success else []
        except (httpx.HTTPError, ValueError):
            return []


def filled(text: str, names: Mapping[str, str]) -> str:
    """A runbook's line with its words in capitals replaced."""
    return re.sub(r"\b[A-Z_]{2,}\b", lambda found: names.get(found[0], found[0]), text)
