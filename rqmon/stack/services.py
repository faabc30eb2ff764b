"""What the stack is made of: its services, how each one is doing, and what every way of running it can do."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rqmon.stack.environment import StackConfig
from scheduler.errors import SchedulerError
from scheduler.queues import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE


class StackError(SchedulerError):
    """The stack can't be started or stopped like this."""


class ServiceError(SchedulerError):
    """A service did not become healthy.

    Args:
        service: Its name.
        why: What is known about it.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service} is not healthy: {why}")
        self.service = service


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of the stack, under the name that supervisor and compose have for it.

    Attributes:
        name: The name.
        purpose: What a person has it for.
        command: What runs it in a checkout and in a container, when it is a program of ours.
        installed_command: The same for an installed copy, which has no scripts, where it differs.
        options: What somebody else's program is given, however it is run.
        port_variable: The variable of the port it listens on; None when it listens on none.
        health_path: The HTTP path that answers 200 when it is well; None when it speaks no HTTP.
        queue: The queue whose jobs it runs, when it is a worker.
        stop_seconds: How long it may take to end before it is killed.
    """

    name: str
    purpose: str
    command: tuple[str, ...] = ()
    installed_command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    port_variable: str | None = None
    health_path: str | None = None
    queue: str | None = None
    stop_seconds: int = 10

    def address(self, config: StackConfig) -> str:
        """Where it listens, a URL if it speaks HTTP; empty when it listens nowhere."""
        if self.port_variable is None:
            return ""
        address = f"127.0.0.1:{config.variables[self.port_variable]}"
        return f"http://{address}" if self.health_path else address


# As long as a worker may go on with its job, and as Redis may write its data.
_PATIENT_SECONDS = 30


def _worker(name: str, *, purpose: str, script: str, queue: str) -> Service:
    return Service(
        name=name,
        purpose=purpose,
        command=("python", script),
        installed_command=("python", "-m", "rqmon.cli", "worker", queue),
        queue=queue,
        stop_seconds=_PATIENT_SECONDS,
    )


REDIS = Service(
    name="redis", purpose="keeps the queues", port_variable="REDIS_PORT", stop_seconds=_PATIENT_SECONDS
)
PROMETHEUS = Service(
    name="prometheus",
    purpose="query metrics",
    # What was true when it was stopped counts for so long after a start; its own default is five minutes.
    options=("--query.lookback-delta=1m",),
    port_variable="PROMETHEUS_PORT",
    health_path="/-/ready",
)
ALERTMANAGER = Service(
    name="alertmanager",
    purpose="see and silence alerts",
    # Or it listens on every interface for its peers.
    options=("--cluster.listen-address=",),
    port_variable="ALERTMANAGER_PORT",
    health_path="/-/ready",
)
# Whom Alertmanager tells where `.env` names nobody else.
ALERT_LOG = Service(
    name="alert_log",
    purpose="keeps what alerts told",
    command=("python", "-m", "rqmon.alerting"),
    port_variable="ALERT_LOG_PORT",
    health_path="/healthz",
)
GRAFANA = Service(
    name="grafana",
    purpose="dashboards",
    port_variable="GRAFANA_PORT",
    health_path="/api/health",
)
# In Grafana's place where that is not installed, or its image can't be had.
PREVIEW = Service(
    name="preview",
    purpose="dashboards, without Grafana",
    command=("python", "-m", "rqmon.preview"),
    port_variable="GRAFANA_PORT",
    health_path="/healthz",
)
CRON = Service(
    name="rq_sched",
    purpose="queues cron jobs",
    command=("python", "cron-scheduler.py"),
    installed_command=("python", "-m", "rqmon.cli", "cron", "run"),
)
_ALWAYS = (
    REDIS,
    _worker(
        "rq_short",
        purpose="runs short jobs",
        script="short-running-worker.py",
        queue=SHORT_RUNNING_QUEUE,
    ),
    _worker(
        "rq_long",
        purpose="runs long jobs",
        script="long-running-worker.py",
        queue=LONG_RUNNING_QUEUE,
    ),
    CRON,
    Service(
        name="rq_exporter",
        purpose="metrics of queues and workers",
        command=("python", "-m", "rqmon.exporter"),
        port_variable="RQ_EXPORTER_PORT",
        health_path="/healthz",
    ),
    Service(
        name="rq_dashboard",
        purpose="look into jobs, requeue them",
        command=("python", "-m", "rqmon.guarded_rq_dashboard"),
        port_variable="RQ_DASHBOARD_PORT",
        health_path="/healthz",
    ),
    # In front of the next two, which check neither Host nor Origin.
    Service(
        name="doors",
        purpose="turns other sites' pages away",
        command=("python", "-m", "rqmon.doors"),
    ),
    PROMETHEUS,
    ALERTMANAGER,
    ALERT_LOG,
)
WITH_GRAFANA = (*_ALWAYS, GRAFANA)
WITH_PREVIEW = (*_ALWAYS, PREVIEW)
EVERY = (*_ALWAYS, GRAFANA, PREVIEW)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How a service is doing.

    Attributes:
        service: Which one.
        is_healthy: Whether it runs and answers as it should.
        description: "healthy", or what is wrong.
        pid: Its process on this machine, if it has one.
        uptime_seconds: How long it has been running.
        restarts: How often it has ended unasked and was started again.
    """

    service: Service
    is_healthy: bool
    description: str
    pid: int | None = None
    uptime_seconds: float | None = None
    restarts: int = 0


class Backend(Protocol):
    """A way to run the stack.

    Attributes:
        upgrades: Whether `launch` replaces what runs with older code or settings.
    """

    upgrades: bool

    @property
    def services(self) -> Sequence[Service]:
        """The services it runs."""

    def is_running(self) -> bool:
        """Whether it is started, well or not."""

    def prepare(self) -> None:
        """Install and write what a start needs.

        Raises:
            StackError: Something is missing; it says how to install it.
        """

    def launch(self) -> None:
        """Start every service that does not run, without waiting for their health.

        Raises:
            ServiceError: What the others need does not start.
        """

    def states(self) -> list[ServiceState]:
        """How each service is doing now."""

    def stop(self) -> bool:
        """End everything that was started, workers once their jobs are done; whether anything ran.

        Raises:
            StackError: Something may still run.
        """

    def log(self, service: str, *, lines: int) -> str:
        """The last lines of a service's log."""

    def follow(self, services: Sequence[str]) -> None:
        """Print what these services log, until interrupted."""


def check_ports_are_free(config: StackConfig) -> None:
    """Refuse to start where somebody else listens already.

    Raises:
        StackError: It names the ports and their variables.
    """
    taken = [
        f"Port {port} is taken ({service.port_variable})"
        for service in WITH_GRAFANA
        if service.port_variable and not _is_free(port := int(config.variables[service.port_variable]))
    ]
    if taken:
        raise StackError(
            f"{', '.join(taken)}: stop what listens there, or choose a free port in {config.env_file}"
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
