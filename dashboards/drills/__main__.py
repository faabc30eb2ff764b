"""`make drills`: break what each alert tells of, mend it by the runbook, and wait until that is told too.

On a stack of its own whose rules look at a sixtieth of the time; what is measured are real seconds. The last
line is JSON, and it ends with 1 when a drill does not hold.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from dashboards.drills.drill import Drill
from dashboards.drills.faults import cron_faults, execution_faults, queue_faults, redis_faults, worker_faults
from dashboards.drills.project_copy import copy_project
from dashboards.drills.receiver import receiver
from dashboards.drills.run import Result, run
from dashboards.drills.stage import Stage
from dashboards.verify.own_stack import own_stack
from rqmon.entry_point import one_line_errors
from rqmon.terminal import say

DRILLS = (
    *redis_faults.DRILLS,
    *queue_faults.DRILLS,
    *worker_faults.DRILLS,
    *cron_faults.DRILLS,
    *execution_faults.DRILLS,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Start a stack, run the drills, print, stop."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.drills", description=__doc__)
    parser.add_argument("alerts", nargs="*", metavar="ALERT", help="by default all of them")
    options = parser.parse_args(arguments)
    by_name = {drill.alert: drill for drill in DRILLS}
    for name in options.alerts:
        if name not in by_name:
            parser.error(f"{name} has no drill: use one of {', '.join(by_name)}")
    chosen = [by_name[name] for name in options.alerts] or DRILLS
    os.environ.pop("RQ_SERIALIZER", None)  # another stack's
    with (
        one_line_errors("drills"),
        receiver() as told,
        own_stack(partial(copy_project, receiver_url=told.url)) as own,
    ):
        results = _run_all(Stage(own, told), chosen)
    _print(results)
    print(json.dumps({"check": "drills", "drills": [result.figures for result in results]}))  # noqa: T201
    if problems := [result for result in results if result.problem]:
        sys.exit(f"{len(problems)} of {len(results)} do not hold: {', '.join(r.alert for r in problems)}")


def _run_all(stage: Stage, drills: Sequence[Drill]) -> list[Result]:
    results = []
    for drill in drills:
        results.append(run(stage, drill))
        say(results[-1].line)
    return results


def _print(results: Sequence[Result]) -> None:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("alert", "fault", "fires", "clears", ""):
        table.add_column(column, overflow="fold")
    for result in results:
        table.add_row(*result.cells)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    main()
