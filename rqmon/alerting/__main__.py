"""`python -m rqmon.alerting --file PATH`: keep what Alertmanager tells, until SIGTERM."""

import argparse
import os
from pathlib import Path

from rqmon.extras import one_line_if_missing

with one_line_if_missing("rqmon.alerting"):
    from rqmon.alerting.app import wsgi_app
    from rqmon.alerting.log import AlertLog
    from rqmon.entry_point import one_line_errors
    from rqmon.ports import DEFAULT_PORTS
    from rqmon.web.serving import serve
    from scheduler.logs import configure

_THREADS = 2


def main() -> None:
    """Read the options and serve; bad input is one line and exit code 2."""
    with one_line_errors("alert_log"):
        parser = argparse.ArgumentParser(prog="python -m rqmon.alerting", description=__doc__)
        parser.add_argument("--file", default=os.environ.get("ALERT_LOG_FILE", "alerts.jsonl"), type=Path)
        parser.add_argument("--host", default=os.environ.get("ALERT_LOG_HOST", "127.0.0.1"))
        parser.add_argument(
            "--port", default=os.environ.get("ALERT_LOG_PORT", str(DEFAULT_PORTS["ALERT_LOG_PORT"]))
        )
        options = parser.parse_args()
        configure()
        log = AlertLog(options.file)
        log.check()
        serve(wsgi_app(log), name="alert_log", host=options.host, port=options.port, threads=_THREADS)


if __name__ == "__main__":
    main()
