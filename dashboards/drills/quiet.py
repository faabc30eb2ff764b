"""`make drills-quiet`: that nothing is told when nothing is wrong, with the rules as they are.

Two stacks, one after the other, for ten minutes each: under jobs that succeed only RQWatchdog may fire, under
the demo's usual mix, where some fail, no critical alert. The last line is JSON.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from random import Random

from dashboards.drills.receiver import Receiver
from dashboards.drills.stage import Stage
from dashboards.verify.own_stack import OwnStack, own_stack
from rqmon.demo.jobs import queue_health_check, work_for
from rqmon.entry_point import one_line_errors
from rqmon.metrics import WATCHDOG
from rqmon.terminal import say
from scheduler import LONG_RUNNING_QUEUE, SHORT_RUNNING_QUEUE

_ASK_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run both, print what fired."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.drills.quiet", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long each run takes")
    options = parser.parse_args(arguments)
    fired: dict[str, dict[str, str]] = {}
    problems = []
    with one_line_errors("drills-quiet"):
        for name, run in (("without failures", _light), ("the demo's mix", _demo)):
            with own_stack() as stack:
                fired[name] = found = run(stack, options.seconds)
            say(f"{name}, {options.seconds} s: {', '.join(f'{a} ({s})' for a, s in sorted(found.items()))}")
            allowed = {WATCHDOG} if run is _light else {a for a, s in found.items() if s != "critical"}
            problems += [f"{alert} fired {name}" for alert in sorted(found.keys() - allowed)]
            if WATCHDOG not in found:
                problems.append(f"{WATCHDOG} did not fire {name}")
    print(json.dumps({"check": "drills-quiet", "seconds": options.seconds, "fired": fired}))  # noqa: T201
    if problems:
        sys.exit("; ".join(problems))


def _light(stack: OwnStack, seconds: int) -> dict[str, str]:
    """A trickle that two workers keep up with: some 13 jobs in ten seconds."""
    stage, rng = Stage(stack, Receiver()), Random(1)  # noqa: S311  # nothing secret
    stage.scheduler.cron(SHORT_RUNNING_QUEUE, None, queue_health_check, interval_seconds=10, cron_id="quiet")

    def queue_some() -> None:
        stage.queue(SHORT_RUNNING_QUEUE, work_for, rng.uniform(0.005, 0.2))
        if rng.random() < 0.2:
            stage.queue(LONG_RUNNING_QUEUE, work_for, rng.uniform(1, 3))
        if rng.random() < 0.1:
            later = timedelta(seconds=rng.uniform(10, 60))
            stage.scheduler.enqueue_in(SHORT_RUNNING_QUEUE, later, work_for, 0.05)

    stage.repeat(queue_some, every_seconds=1)
    try:
        return _watch(stage, seconds)
    finally:
        stage.calm()


def _demo(stack: OwnStack, seconds: int) -> dict[str, str]:
    demo: subprocess.Popen[str] = stack.run("demo", "--seconds", str(seconds))
    try:
        return _watch(Stage(stack, Receiver()), seconds)
    finally:
        demo.terminate()
        demo.communicate()


def _watch(stage: Stage, seconds: int) -> dict[str, str]:
    """{alert: severity} of all that fired meanwhile."""
    fired: dict[str, str] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fired |= stage.firing()
        time.sleep(_ASK_SECONDS)
    return fired


if __name__ == "__main__":
    main()
