"""A real Alertmanager with a configuration of the bundle's, in seconds for minutes."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from rqmon.stack.receivers import write_config
from tests.servers import free_port, wait_for

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
_SECONDS = {"group_wait": "1s", "group_interval": "1s"}


@dataclass(frozen=True)
class Alertmanager:
    url: str

    def tell(self, *alerts: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/api/v2/alerts", json=list(alerts)).raise_for_status()

    def failed(self, integration: str) -> float:
        """How many notifications of a kind were given up; newer versions have a series for each reason."""
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        start = f'alertmanager_notifications_failed_total{{integration="{integration}"'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(start))


@contextmanager
def alertmanager(folder: Path, config: dict[str, Any], **environment: str) -> Iterator[Alertmanager]:
    for route in (config["route"], *config["route"]["routes"]):
        route |= _SECONDS
    write_config(folder / "alertmanager.yml", config, mode=0o600)
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                str(PROGRAM),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            env=environment,
            stderr=log,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(lambda: _is_ready(address), what="Alertmanager is ready")
        yield Alertmanager(address)
    finally:
        process.terminate()
        process.wait(10)


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready").is_success
    except httpx.TransportError:
        return False
