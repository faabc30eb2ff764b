"""Remembers the running stack from one command to the next: its mode and settings."""

import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from rqmon.stack.environment import StackConfig
from rqmon.stack.services import StackError


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A start of the stack.

    Attributes:
        mode: "native" or "docker".
        settings: A digest of the variables it was started with.
    """

    mode: str
    settings: str

    @classmethod
    def of(cls, config: StackConfig, mode: str) -> "Run":
        """Return the run that a start now would make."""
        settings = json.dumps(dict(config.variables), sort_keys=True).encode()
        return cls(mode=mode, settings=hashlib.sha256(settings).hexdigest())


def recall(config: StackConfig) -> Run | None:
    """Return the last start that was not stopped, if any.

    Raises:
        StackError: The state directory is somebody else's.
    """
    try:
        return Run(**json.loads((config.state_dir / "run.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    except OSError as error:
        raise _not_ours(config, error) from None


def remember(config: StackConfig, run: Run) -> None:
    """Record this run for later commands."""
    (config.state_dir / "run.json").write_text(json.dumps(asdict(run)) + "\n")


def forget(config: StackConfig) -> None:
    """Delete the record: nothing runs any more."""
    (config.state_dir / "run.json").unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(config: StackConfig) -> Iterator[None]:
    """Allow only one start or stop at a time in a state directory, which is created if necessary.

    Raises:
        StackError: Another start or stop is running, or the state directory is somebody else's.
    """
    try:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (config.state_dir / "lock").open("w")
    except OSError as error:
        raise _not_ours(config, error) from None
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                "Another start or stop of this stack is running: wait until it is done"
            ) from None
        yield


def _not_ours(config: StackConfig, error: OSError) -> StackError:
    return StackError(
        f"{config.state_dir} can't be used ({error.strerror}): run this as its owner, "
        "or set RQMON_STATE_DIR to one of your own folders"
    )
