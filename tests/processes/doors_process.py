"""A real Alertmanager behind its door, both started as in the native stack."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from rqmon.ports import free_ports
from rqmon.stack.door_login import write_login
from rqmon.stack.environment import StackConfig
from rqmon.stack.receivers import alertmanager_config, write_config
from tests import ROOT
from tests.servers import wait_for

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
SILENCE = {
    "matchers": [{"name": "alertname", "value": ".+", "isRegex": True}],
    "startsAt": "2026-01-01T00:00:00Z",
    "endsAt": "2126-01-01T00:00:00Z",
    "createdBy": "a test",
    "comment": "all of them",
}


@dataclass(frozen=True)
class Doors:
    door: str
    behind: str

    def silences(self) -> list[str]:
        return [silence["id"] for silence in httpx.get(f"{self.door}/api/v2/silences").json()]


@contextmanager
def doors(folder: Path, **variables: str) -> Iterator[Doors]:
    secrets = write_login(StackConfig(state_dir=folder, env_file=folder / ".env", variables={}), mode=0o600)
    told = alertmanager_config({}, log_url="http://127.0.0.1:1/")
    write_config(folder / "alertmanager.yml", told, mode=0o600)
    port, behind = free_ports(2)
    addresses = Doors(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{behind}")
    commands = (
        [
            ALERTMANAGER,
            f"--config.file={folder}/alertmanager.yml",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{behind}",
            f"--web.config.file={secrets}/web.yml",
            "--cluster.listen-address=",
        ],
        [
            *(sys.executable, "-m", "rqmon.doors", f"{port}={addresses.behind}"),
            f"--header-file={secrets}/door_header",
        ],
    )
    processes = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        wait_for(lambda: _is_ready(addresses.door), what="Alertmanager is ready behind its door")
        yield addresses
    finally:
        for process in processes:
            process.terminate()
            process.wait(timeout=20)


def _is_ready(door: str) -> bool:
    try:
        return httpx.get(f"{door}/-/ready").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
