"""The log of notifications: a JSON line for each, in a file that is rotated."""

import json
import os
import threading
from pathlib import Path
from typing import Any

from scheduler.errors import ConfigError

# Some 5,000 notifications of one alert each; one file before this one is kept.
_MOST_BYTES = 5_000_000


class AlertLog:
    """The file, and the one before it, which has `.1` at its end; only their user can read them."""

    def __init__(self, path: Path, *, most_bytes: int = _MOST_BYTES) -> None:
        self._path = path
        self._before = path.with_name(f"{path.name}.1")
        self._most_bytes = most_bytes
        self._lock = threading.Lock()

    def check(self) -> None:
        """Refuse a file that can't be written.

        Raises:
            ConfigError: It says why.
        """
        try:
            with self._opened():
                pass
        except OSError as error:
            raise ConfigError(f"{self._path} can't be written ({error.strerror})") from None

    def append(self, record: dict[str, Any]) -> None:
        """Add a line; a full file becomes the one before."""
        line = json.dumps(record) + "\n"
        with self._lock:
            if self._path.exists() and self._path.stat().st_size + len(line) > self._most_bytes:
                self._path.replace(self._before)
            with self._opened() as file:
                file.write(line)

    def last(self, number: int) -> list[dict[str, Any]]:
        """The last notifications, the oldest of them first; a line that is cut off is left out."""
        with self._lock:
            files = [path for path in (self._before, self._path) if path.exists()]
            lines = [line for path in files for line in path.read_text(errors="replace").splitlines()]
        found: list[dict[str, Any]] = []
        for line in reversed(lines):
            if len(found) == number:
                break
            try:
                found.append(dict(json.loads(line)))
            except (ValueError, TypeError):  # the machine went down while it was written
                continue
        return found[::-1]

    def _opened(self) -> Any:
        return os.fdopen(
            os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8"
        )
