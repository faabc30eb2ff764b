"""A separate stack next to any other: on free ports, with all its files in one folder."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rqmon.ports import free_ports
from rqmon.resources import project
from rqmon.stack.environment import VARIABLES, StackConfig
from rqmon.stack.services import WITH_GRAFANA, StackError

COMMAND = (sys.executable, "-m", "rqmon.cli")
_START_SECONDS, _STOP_SECONDS = 240, 120
_AGAIN_SECONDS = 0.05
# The last is the timer's.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)


@dataclass(frozen=True)
class OwnStack:
    """A stack in `folder`.

    Attributes:
        folder: Where its `.env` and its state are.
        mode: native or docker.
        is_copy: Whether the folder has a copy of the project, whose code and files it runs.
    """

    folder: Path
    mode: str = "native"
    is_copy: bool = False

    @property
    def config(self) -> StackConfig:
        """Return its configuration; complete once it is started."""
        return StackConfig.from_env(self._places)

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment that makes `COMMAND` act on this stack."""
        # The caller's settings belong to another stack, whose .env may have been read; and NiceGUI serves
        # nothing if it sees pytest's variables.
        others = {*self.config.variables, *VARIABLES}
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("RQ", "PYTEST_")) and k not in others
        }
        code = {"PYTHONPATH": str(self.folder)} if self.is_copy else {}
        return {**inherited, **self._places, **code, "MODE": self.mode}

    def choose_ports(self) -> None:
        """Add free ports to its `.env`."""
        variables = [service.port_variable for service in WITH_GRAFANA if service.port_variable]
        ports = zip(variables, free_ports(len(variables)), strict=True)
        with (self.folder / ".env").open("a") as file:
            file.writelines(f"{name}={port}\n" for name, port in ports)

    def run(self, *arguments: str) -> "subprocess.Popen[str]":
        """Run `rqmon` on this stack, in a new session: Ctrl-C is for whoever started it."""
        return subprocess.Popen(  # noqa: S603 (this project's own command)
            [*COMMAND, *arguments],
            cwd=self.folder if self.is_copy else project(),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def _places(self) -> dict[str, str]:
        return {
            "RQMON_STATE_DIR": str(self.folder / "state"),
            "RQMON_ENV_FILE": str(self.folder / ".env"),
        }


@contextlib.contextmanager
def own_stack(copy_project: Callable[[Path], None] | None = None) -> Iterator[OwnStack]:
    """Start a native stack in a temporary folder, and stop it however the block ends, even by SIGTERM.

    Args:
        copy_project: Writes a changed copy of the project into the folder; the stack runs that.

    Raises:
        StackError: It does not start; the message is that of `rqmon start`.
    """
    with _interrupted_by_signals(), tempfile.TemporaryDirectory(prefix="rqmon-") as name:
        stack = OwnStack(Path(name), is_copy=copy_project is not None)
        if copy_project:
            copy_project(stack.folder)
        stack.choose_ports()
        try:
            _finish(stack.run("start"), seconds=_START_SECONDS)
            yield stack
        finally:
            # A second signal must not leave half of the stack behind.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            _finish(stack.run("stop"), seconds=_STOP_SECONDS)


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let signals raise KeyboardInterrupt in the block, and again if Python was in a destructor.

    It ignores what is raised there.
    """
    hook = sys.unraisablehook

    def lost(what: "sys.UnraisableHookArgs") -> None:
        if what.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
        else:
            hook(what)

    before = {number: signal.signal(number, signal.default_int_handler) for number in _SIGNALS}
    sys.unraisablehook = lost
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _finish(process: "subprocess.Popen[str]", *, seconds: float) -> None:
    try:
        said, _ = process.communicate(timeout=seconds)
    except BaseException:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise StackError(" ".join(said.split()) or f"rqmon ended with {process.returncode}")
