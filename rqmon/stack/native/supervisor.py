"""One copy's supervisord: starts it, talks to it, and finds what it left behind if it was killed."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any
from xmlrpc.client import Fault, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from rqmon.stack.environment import StackConfig
from rqmon.stack.native.commands import MARKER, environment
from rqmon.stack.native.watch import RESTARTS
from rqmon.stack.services import StackError

# A Unix socket's path is stored in 108 bytes on Linux, 104 on macOS; supervisor adds a suffix while it binds.
_LONGEST_SOCKET_PATH = 90
# It answers at once, even on a loaded machine. Whoever takes it for dead would end what it runs.
_ANSWER_SECONDS = 30.0
_ENDED = ("STOPPED", "EXITED", "FATAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What supervisor says about one of its programs.

    Attributes:
        state: RUNNING, STARTING, BACKOFF, STOPPING, STOPPED, EXITED or FATAL.
        pid: Its process id; 0 if there is none.
        uptime_seconds: The time since it was started.
        remark: What went wrong, if something did.
    """

    state: str
    pid: int
    uptime_seconds: float
    remark: str


class Supervisor:
    """The supervisord whose socket is in a state directory."""

    def __init__(self, config: StackConfig) -> None:
        self._config = config
        self._socket = config.state_dir / "supervisor.sock"

    @property
    def _rpc(self) -> Any:
        # A new connection each time: one that has failed can't be used again.
        return ServerProxy("http://127.0.0.1", transport=self._transport()).supervisor

    def _transport(self) -> SupervisorTransport:
        """Return a transport with a timeout: supervisord may hang, and supervisor's own waits without end."""
        transport: Any = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        connection_to = transport._get_connection

        def connection() -> Any:
            made = connection_to()
            made.connect()
            made.sock.settimeout(_ANSWER_SECONDS)
            return made

        transport._get_connection = connection
        return transport

    def is_running(self) -> bool:
        """Whether it answers."""
        try:
            return bool(self._rpc.getState()["statename"])
        except (OSError, http.client.HTTPException, Fault):
            return False

    def run(self) -> None:
        """Start supervisord in the background, without starting programs.

        Raises:
            StackError: It does not start; the message has its reason.
        """
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET_PATH:
            raise StackError(
                f"{self._socket} is too long for a socket: set RQMON_STATE_DIR to a shorter path"
            )
        started = subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "--configuration", "supervisord.conf"],
            env=environment(self._config, dict(os.environ)),
            cwd=self._config.state_dir,
            capture_output=True,
            text=True,
        )
        if started.returncode != 0:
            raise StackError(f"supervisord did not start: {started.stderr.strip() or started.stdout.strip()}")

    def start(self, name: str) -> None:
        """Start a program unless it runs or is being started; its health is not waited for."""
        with contextlib.suppress(Fault, TimeoutError):  # ALREADY_STARTED; problems show in its state
            self._rpc.startProcess(name, False)

    def stop(self, name: str) -> None:
        """Ask a program to end, without waiting for it."""
        with contextlib.suppress(Fault, TimeoutError):  # NOT_RUNNING
            self._rpc.stopProcess(name, False)

    def programs(self) -> dict[str, Program]:
        """Return every program; none if supervisord does not answer."""
        try:
            answer = self._rpc.getAllProcessInfo()
        except (OSError, http.client.HTTPException, Fault):
            return {}
        return {
            info["name"]: Program(
                state=info["statename"],
                pid=info["pid"],
                uptime_seconds=float(info["now"] - info["start"]),
                remark=info["spawnerr"],
            )
            for info in answer
        }

    def ended_unasked(self) -> dict[str, list[float]]:
        """Return the times at which each program ended unexpectedly since supervisord was started."""
        try:
            found = json.loads((self._config.state_dir / RESTARTS).read_text())
            return {name: [float(at) for at in times] for name, times in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def stop_all(self, *, last: str, timeout_seconds: float) -> None:
        """End all programs at once, except `last`, which they need; then `last`, then supervisord."""
        deadline = time.monotonic() + timeout_seconds
        names = set(self.programs())
        for together in (names - {last}, {last}):
            for name in together:
                self.stop(name)
            # Asking also wakes supervisord, which otherwise sleeps until its next second.
            while any(
                program.state not in _ENDED for name, program in self.programs().items() if name in together
            ):
                if time.monotonic() > deadline:
                    break
                time.sleep(0.02)
        with contextlib.suppress(OSError, http.client.HTTPException, Fault):
            self._rpc.shutdown()
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)

    def processes(self) -> list[psutil.Process]:
        """Return every process of this copy, supervised or not: its environment names the state directory."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if (
                    process.environ().get(MARKER) == str(self._config.state_dir)
                    and process.status() != psutil.STATUS_ZOMBIE
                    and process.pid != os.getpid()
                ):
                    found.append(process)
        return found

    def end_leftovers(self, *, last: str, timeout_seconds: float) -> bool:
        """End gently what a killed supervisord left behind; return whether there was anything.

        Args:
            last: The file name of the program that the others need; it ends last.
            timeout_seconds: How long a worker may continue its job.
        """
        left = self.processes()
        ours = {process.pid for process in left}
        for ends_last in (False, True):
            # Only the topmost processes get the signal: a worker tells its job's process itself.
            told = []
            for process in left:
                with contextlib.suppress(psutil.Error):
                    if process.ppid() not in ours and (process.name() == last) is ends_last:
                        process.terminate()
                        told.append(process)
            psutil.wait_procs(told, timeout=timeout_seconds)
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        for name in ("supervisor.sock", "supervisord.pid"):
            (self._config.state_dir / name).unlink(missing_ok=True)
        return bool(left)
