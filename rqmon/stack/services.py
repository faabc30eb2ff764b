"""The stack's services, their states, and the interface of the ways to run them."""

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
        service: The service's name.
        why: What is known about the cause.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service} is not healthy: {why}")
        self.service = service


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of the stack, under its name in supervisor and compose.

    Attributes:
        name: The name.
        purpose: What people use it for.
        command: Its command in a checkout and in a container, if it is a program of ours.
        installed_command: Its command in an installed copy, which has no scripts, if it differs.
        options: The options of a program that is not ours, however it is run.
        port_variable: The variable with its port; None if it does not listen.
        health_path: The HTTP path that answers 200 if it is healthy; None if it does not speak HTTP.
        queue: The queue whose jobs it runs, if it is a worker.
        stop_seconds: How long it may take to stop before it is killed.
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
        """Return its address, a URL if it speaks HTTP; empty if it does not listen."""
        if self.port_variable is None:
            return ""
        address = f"127.0.0.1:{config.variables[self.port_variable]}"
        return f"http://{address}" if self.health_path else address


# The time for a worker to finish its job, and for Redis to write its data.
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
    # How long after a start samples from before the stop count; the default is five minutes.
    options=("--query.lookback-delta=1m",),
    port_variable="PROMETHEUS_PORT",
    health_path="/-/ready",
)
ALERTMANAGER = Service(
    name="alertmanager",
    purpose="see and silence alerts",
    # Otherwise it listens on every interface for its peers.
    options=("--cluster.listen-address=",),
    port_variable="ALERTMANAGER_PORT",
    health_path="/-/ready",
)
# Whom Alertmanager tells where `.env` names nobody else.
ALERT_LOG = Service(
    name="alert_log",
    purpose="keeps the alerts that were sent",
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
# Replaces Grafana if that is not installed, or its image can't be pulled.
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
    # In front of the next two services, which don't check Host and Origin.
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
    """The state of a service.

    Attributes:
        service: The service.
        is_healthy: Whether it runs and answers as it should.
        description: "healthy", or what is wrong.
        pid: Its process id on this machine, if it has one.
        uptime_seconds: How long it has been running.
        restarts: How often it has ended unexpectedly and been restarted.
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
        upgrades: Whether `launch` replaces services that run with older code or settings.
    """

    upgrades: bool

    @property
    def services(self) -> Sequence[Service]:
        """The services it runs."""

    def is_running(self) -> bool:
        """Whether it is started, healthy or not."""

    def prepare(self) -> None:
        """Install programs and write files that a start needs.

        Raises:
            StackError: Something is missing; the message says how to install it.
        """

    def launch(self) -> None:
        """Start every service that does not run, without waiting until they are healthy.

        Raises:
            ServiceError: A service that the others need does not start.
        """

    def states(self) -> list[ServiceState]:
        """Return the current state of each service."""

    def stop(self) -> bool:
        """Stop everything, workers once their jobs are done; return whether anything ran.

        Raises:
            StackError: Something may still run.
        """

    def log(self, service: str, *, lines: int) -> str:
        """Return the last lines of a service's log."""

    def follow(self, services: Sequence[str]) -> None:
        """Print new log lines of these services until interrupted."""


def check_ports_are_free(config: StackConfig) -> None:
    """Refuse to start if another program already uses a port.

    Raises:
        StackError: Ports are taken; the message names them and their variables.
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
