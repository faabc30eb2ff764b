"""`rqmon`, and `python -m rqmon.cli`: runs the command line, or says in one line what it needs."""

from rqmon.extras import one_line_if_missing


def main() -> None:
    """Run the command line; if packages of the extra `stack` are missing, say so and exit with code 2."""
    with one_line_if_missing("rqmon"):
        from rqmon.cli.main import main as run
    run(prog_name="rqmon")


if __name__ == "__main__":
    main()
