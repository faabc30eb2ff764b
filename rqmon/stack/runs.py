"""What is known about the running stack from one command to the next: its mode and its settings."""

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
        """The run that a start now would make."""
        settings = json.dumps(dict(config.variables), sort_keys=True).encode()
        return cls(mode=mode, settings=hashlib.sha256(settings).hexdigest())


def recall(config: StackConfig) -> Run | None:
    """The last start that no stop has followed, if any.

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
    """Keep this run for the commands that follow."""
    (config.state_dir / "run.json").write_text(json.dumps(asdict(run)) + "\n")


def forget(config: StackConfig) -> None:
    """Nothing runs any more."""
    (config.state_dir / "run.json").unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(config: StackConfig) -> Iterator[None]:
    """Let one start or stop at a time work on a state directory, which is made when missing.

    Raises:
        StackError: Another one is at work, or the state directory is somebody else's.
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
                "Another start or stop of this stack is at work: wait until it is done"
            ) from None
        yield


def _not_ours(config: StackConfig, error: OSError) -> StackError:
    return StackError(
        f"{config.state_dir} can't be used ({error.strerror}): run this as its owner, "
        "or set RQMON_STATE_DIR to a folder of your own"
    )
