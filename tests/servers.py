"""Real servers and processes for tests, started on free ports and waited for, never slept for."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable

import psutil

from rqmon.ports import free_ports


def free_port() -> int:
    return free_ports(1)[0]


def kill_with_children(pid: int) -> None:
    """SIGKILL a process and its children; otherwise RQ's scheduler outlives its worker and keeps its socket.

    Redis could send a job to that socket. The process is stopped first, so that it starts nothing meanwhile.
    """
    parent = psutil.Process(pid)
    parent.suspend()
    for process in (*parent.children(recursive=True), parent):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def command_lines(processes: Iterable[psutil.Process]) -> list[str]:
    """Yield it for processes that still run: one may end while they are listed."""
    lines = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one too
            lines.append(" ".join(process.cmdline()))
    return lines


def wait_for(condition: Callable[[], bool], *, seconds: float = 60, what: str = "the condition") -> None:
    """Poll until the condition is true; an OSError or an ended process during the check counts as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, psutil.NoSuchProcess):
            pass
        assert time.monotonic() < deadline, f"{what} did not hold within {seconds} s"
        time.sleep(0.02)


class Relay:
    """A name that leads to a server: new connections go to `target`, existing ones stay."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                to.sendall(data)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
