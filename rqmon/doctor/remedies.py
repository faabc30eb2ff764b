"""The commands that findings end with, as a shell runs them in a checkout and beside an installed copy."""

import re
import shlex
import sys

from rqmon.resources import command_line, is_checkout
from scheduler.queues import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE

_MOST_QUEUES = 20
# Where the address of Redis is written.
WHICH_REDIS = "printenv RQ_REDIS_URL || grep RQ_REDIS_URL .env"
# RQ's own commands need the address in the shell's environment; rqmon's read `.env`.
_NEEDS_ADDRESS = re.compile(r"(^|[ /])rq re(queue|sume)\b")


def quoted(*words: str) -> str:
    """Words as a shell takes them; after `--`, none is an option."""
    return shlex.join(["--", *words] if any(word.startswith("-") for word in words) else words)


def redis_command(*words: str) -> str:
    """A command to Redis."""
    return command_line(f"redis {shlex.join(words)}")


def python() -> str:
    """The Python that this program runs in."""
    return ".venv/bin/python" if is_checkout() else shlex.quote(sys.executable)


def rq(words: str) -> str:
    """A command of RQ's own."""
    return _installed(f"rq {words}")


def export_address(env_file: str) -> str:
    """The command that gives a shell the address of Redis, and nothing else of `.env`."""
    file = f"-f {shlex.quote(env_file)} " if env_file else ""
    return f'export RQ_REDIS_URL="$({_installed(f"dotenv {file}get RQ_REDIS_URL")})"'


def _installed(words: str) -> str:
    return f".venv/bin/{words}" if is_checkout() else words


def needs_address(text: str) -> bool:
    """Whether a text has a command that finds Redis by the shell's RQ_REDIS_URL alone."""
    return _NEEDS_ADDRESS.search(text) is not None


def why(job_id: str) -> str:
    """The command that says more of a job."""
    return command_line(f"why {quoted(job_id)}")


def uses_of(name: str) -> str:
    """The command that shows the lines of Python with a name, and the arguments below it."""
    return f"grep -rnF -A 4 --include='*.py' --exclude-dir='.venv*' -e {shlex.quote(name)} ."


def start_worker(*queues: str, has_stack: bool) -> str:
    """The command that brings workers, which look after scheduled jobs too: the stack's where it has them.

    Args:
        queues: Those that need one; the command has twenty of them at most.
        has_stack: Whether a stack was started here.
    """
    of_stack = {SHORT_RUNNING_QUEUE, LONG_RUNNING_QUEUE} & {*queues} if has_stack else set()
    others = [name for name in queues if name not in of_stack][:_MOST_QUEUES]
    commands = [
        *([command_line("start")] if of_stack else []),
        *([command_line(f"worker {quoted(*others)}")] if others else []),
    ]
    return "; ".join(commands)


def requeue(queue: str, job_id: str = "", *, serializer: str) -> str:
    """The command that queues one failed job again, or all of a queue."""
    option = "" if serializer == "pickle" else f" --serializer {serializer}"
    what = quoted(job_id) if job_id else "--all"
    return rq(f"requeue{option} --queue={shlex.quote(queue)} {what}")
