"""The packages that the programs need besides the core's."""

import contextlib
import sys
from collections.abc import Iterator

from rqmon.terminal import say


@contextlib.contextmanager
def one_line_if_missing(program: str) -> Iterator[None]:
    """Say in one line which extra to install, and exit with code 2, if an import in the block needs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        say(f"{program}: {what_is_missing(error)}", err=True)
        sys.exit(2)


def what_is_missing(error: ModuleNotFoundError) -> str:
    """Say which extra to install.

    Raises:
        ModuleNotFoundError: The module is one of ours, which every installation has.
    """
    name = (error.name or "").partition(".")[0]
    if name in ("rqmon", "scheduler"):
        raise error
    return f"The commands need {name}, which is not installed: run pip install 'rqmon[stack]'"
