"""`python -m rqmon.exporter`: serve until SIGTERM, with rq-exporter's options and variables."""

import os

from rqmon.extras import one_line_if_missing

with one_line_if_missing("rqmon.exporter"):
    from rqmon.entry_point import logged_process
    from rqmon.exporter.app import application
    from rqmon.exporter.options import of_command_line
    from rqmon.web.serving import serve


_THREADS = 8


def main() -> None:
    """Read the options and serve. Invalid input gives one line and exit code 2; Redis may come later."""
    before = dict(os.environ)
    with logged_process("rq-exporter"):
        options = of_command_line(before)
        app, scrapes = application(options)
        scrapes.require_supported()
        serve(app, name="rq_exporter", host=options.host, port=options.port, threads=_THREADS)


if __name__ == "__main__":
    main()
