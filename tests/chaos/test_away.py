"""Redis is away when a job ends."""

import pytest
from rq import Queue

from scheduler.ledger import jobs as ledger
from tests.chaos.fleet import Fleet
from tests.jobs import succeed_when
from tests.servers import wait_for


@pytest.fixture
def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    fleet.close()


@pytest.mark.parametrize("worker_class", ["RecordingWorker", "InProcessWorker"])
def test_a_job_that_returns_while_redis_is_away_succeeded(fleet, worker_class):
    queue, may_end = Queue("q", connection=fleet.redis), fleet.folder / "may end"
    job = queue.enqueue(succeed_when, "runs", str(may_end))
    url = ("--url", fleet.url, "--worker-class", f"scheduler.workers.strategies.{worker_class}")
    worker = fleet.spawn("-m", "rq.cli", "worker", *url, "--burst", "q")
    wait_for(lambda: fleet.redis.llen("runs") == 1, what="the start")
    fleet.valkey.terminate()
    may_end.touch()
    wait_for(lambda: "trying again" in worker.log.read_text(), what="the first try to end it")
    fleet.start_valkey()
    wait_for(lambda: job.get_status() == "finished", what="the end")
    assert fleet.redis.llen("runs") == 1
    assert ledger.read(fleet.redis).outcomes == {("q", "tests.jobs.succeed_when", "succeeded"): 1}
    assert not fleet.redis.exists("rq:wip:q", "rq:failed:q", ledger.RUNNING)
