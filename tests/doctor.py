"""What the doctor finds on a real server."""

import sys
from pathlib import Path

from rqmon.doctor import gathering
from rqmon.doctor.examine import examine
from scheduler.workers.strategies import InProcessWorker
from tests.commands import manage


def findings(connection, *, later=0.0, serializer="pickle"):
    """What is found now, and judged so many seconds later: as long as nothing happens meanwhile."""
    facts = gathering.take(connection, serializer=serializer)
    return examine(facts, now=facts.snapshot.taken_at + later)


def found(connection, text, **options):
    """The one finding whose fact has that text."""
    all_ = findings(connection, **options)
    matching = [it for it in all_ if text in it.fact]
    assert len(matching) == 1, "\n".join(it.fact for it in all_)
    return matching[0]


def is_found(connection, text, **options):
    return any(text in it.fact for it in findings(connection, **options))


def rqmon(*arguments, **environment):
    """The command line on a terminal of 80 columns, without `.env`, where no stack runs."""
    nowhere = {
        "RQMON_ENV_FILE": "/nonexistent",
        "RQMON_STATE_DIR": "/nonexistent",
    }  # other tests have set them
    return manage(*arguments, **{"COLUMNS": "80", **nowhere, **environment})


def run(queue):
    """Run what is queued."""
    InProcessWorker([queue], connection=queue.connection).work(burst=True)


def installed(command):
    """A command with what is installed beside the tests' Python, which may be that with RQ 3."""
    return command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
