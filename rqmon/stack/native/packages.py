"""Finds the native stack's programs that are not Python packages, or installs the system's packages."""

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from rqmon.stack.services import StackError
from rqmon.terminal import say


@dataclass(frozen=True, slots=True)
class _Program:
    package: str  # in Debian and Ubuntu
    names: tuple[str, ...]  # the program's names in different packages


_PROMETHEUS = _Program("prometheus", ("prometheus",))
_ALERTMANAGER = _Program("prometheus-alertmanager", ("prometheus-alertmanager", "alertmanager"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafana:
    """An installed Grafana.

    Attributes:
        command: Its command, without options.
        home: The folder with its default files.
    """

    command: tuple[str, ...]
    home: Path


def find_prometheus() -> str | None:
    """Return the path of Prometheus, if it is installed."""
    return _find(_PROMETHEUS)


def find_alertmanager() -> str | None:
    """Return the path of Alertmanager, if it is installed."""
    return _find(_ALERTMANAGER)


def find_grafana() -> Grafana | None:
    """Return Grafana, if its program is on PATH and its folder where packages and archives put it."""
    for name, arguments in (("grafana", ("server",)), ("grafana-server", ())):
        if path := shutil.which(name):
            prefix = Path(path).resolve().parent.parent
            for home in (prefix, prefix / "share/grafana", Path("/usr/share/grafana")):
                if (home / "conf/defaults.ini").is_file():
                    return Grafana(command=(path, *arguments), home=home)
    return None


def install_missing() -> None:
    """Install Prometheus and Alertmanager with apt if they are missing, and say so.

    Raises:
        StackError: That is not possible here; the message says what to install.
    """
    missing = [program.package for program in (_PROMETHEUS, _ALERTMANAGER) if _find(program) is None]
    if not missing:
        return
    if platform.system() == "Darwin":
        raise StackError(
            f"{' and '.join(missing)} must be installed first: run brew install prometheus alertmanager"
        )
    as_root = _as_root()
    if shutil.which("apt-get") is None or as_root is None:
        how = (
            f"run sudo apt-get install {' '.join(missing)}"
            if shutil.which("apt-get")
            else "install Prometheus and Alertmanager so that their programs are on PATH"
        )
        raise StackError(f"{' and '.join(missing)} must be installed first: {how}")
    say(f"Installing {' and '.join(missing)} with apt-get ...")
    apt = [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    _run([*apt, "update", "-qq"])
    _run([*apt, "install", "-y", "-qq", "--no-install-recommends", *missing])
    if Path("/run/systemd/system").is_dir():
        # The packages start their own services, on the same ports.
        say(f"Stopping the system's own {' and '.join(missing)}: this stack runs its own")
        _run([*as_root, "systemctl", "disable", "--quiet", "--now", *missing])
    if not (find_prometheus() and find_alertmanager()):
        raise StackError(f"{' and '.join(missing)} are installed, but not on PATH: add their folder to it")


def _find(program: _Program) -> str | None:
    return next((path for name in program.names if (path := shutil.which(name))), None)


def _as_root() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True).returncode == 0:  # noqa: S603 (fixed words)
        return [sudo, "-n"]
    return None


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 (fixed words)
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise StackError(f"{' '.join(command)} failed ({last}): install it by hand, then start again")
