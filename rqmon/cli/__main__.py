"""`rqmon`, and `python -m rqmon.cli`: the command line, or in one line what it needs."""

import sys

from rqmon.cli.extras import what_is_missing
from rqmon.terminal import say


def main() -> None:
    """Run the command line; without the packages of the extra `stack` say so, with exit code 2."""
    try:
        from rqmon.cli.main import main as run
    except ModuleNotFoundError as error:
        say(f"rqmon: {what_is_missing(error)}", err=True)
        sys.exit(2)
    run(prog_name="rqmon")


if __name__ == "__main__":
    main()
