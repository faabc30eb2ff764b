"""Faults of a running stack under load: it recovers by itself, and nothing is lost or doubled."""

import time

import pytest
from rich.console import Console
from rich.table import Table

from tests.containers.containers import docker
from tests.containers.load import CRON_ID, QUEUES, Fault, Load
from tests.servers import wait_for

HEALTHY_WITHIN_SECONDS = 60
# A job whose worker died waits until its heartbeat is too old, and then for another worker's clean-up.
ENDED_WITHIN_SECONDS = 240


def paused(containers, service):
    container = containers.id(service)
    docker("pause", container)
    time.sleep(10)
    docker("unpause", container)


def off_the_network(containers, service):
    [network] = containers.inspect(service)["NetworkSettings"]["Networks"]
    container = containers.id(service)
    docker("network", "disconnect", network, container)
    time.sleep(5)
    docker("network", "connect", "--alias", service, network, container)


def restarted(containers, service):
    docker("restart", containers.id(service))


def crashed(containers, service):
    containers.crash(service)


def dashboards(containers):
    return "preview" if containers.ids("preview") else "grafana"


# First the faults that may kill a job: it is found two minutes later, and other faults come meanwhile.
FAULTS = [
    (crashed, "redis"),
    (restarted, "redis"),
    (paused, "redis"),
    (off_the_network, "redis"),
    (off_the_network, "rq_short"),
    (paused, "rq_sched"),
    *(
        (crashed, service)
        for service in ("rq_short", "rq_long", "rq_sched", "rq_exporter", "rq_dashboard", "doors")
    ),
    *((crashed, service) for service in ("prometheus", "alertmanager", dashboards)),
]


@pytest.fixture(scope="module")
def load(containers):
    with pytest.MonkeyPatch.context() as patch:
        url = containers.stack.config.variables["RQ_REDIS_URL"]
        patch.setenv("RQ_REDIS_URL", url)
        wait_for(containers.healthy, seconds=HEALTHY_WITHIN_SECONDS, what="the stack is healthy")
        with Load(url) as load:
            wait_until_well(containers, load)
            yield load


@pytest.fixture(autouse=True)
def fault_table(load, record_property):
    """Record the table of faults so far; the last table is printed below the results."""
    yield
    table = Table("fault", "healthy after", "jobs", "failed with it", "lost", "cron slots", "doubled")
    for fault in load.faults:
        numbers = len(fault.jobs), fault.fates["failed"], fault.fates["lost"], fault.slots, fault.doubled
        table.add_row(fault.name, f"{fault.healthy_after_seconds:.1f} s", *map(str, numbers))
    console = Console(width=110)
    with console.capture() as capture:
        console.print(table)
    record_property("summary", capture.get())


def wait_until_well(containers, load):
    wait_for(
        lambda: containers.healthy() and all(map(load.runs_a_job, QUEUES)),
        seconds=HEALTHY_WITHIN_SECONDS,
        what="everything is healthy again",
    )


@pytest.mark.parametrize(
    ("fault", "service"), FAULTS, ids=lambda part: getattr(part, "__name__", part).replace("_", " ")
)
def test_it_is_well_again_by_itself(containers, load, fault, service):
    name = service(containers) if callable(service) else service
    accepted, due, started = len(load.accepted), load.due(), time.monotonic()
    fault(containers, name)
    wait_until_well(containers, load)
    seconds = time.monotonic() - started
    # It catches up: each slot has an outcome, and none has two.
    wait_for(lambda: load.outcomes().total() >= load.due() - 1, what="every slot that was due has an outcome")
    load.faults.append(
        Fault(
            f"{name} {fault.__name__.replace('_', ' ')}",
            seconds,
            jobs=load.accepted[accepted:],
            slots=load.due() - due,
            doubled=load.doubled(),
        )
    )
    assert load.doubled() == 0
    assert load.outcomes().total() <= load.due() + 1
    # With catch_up="all" each slot gets its job.
    assert set(load.outcomes()) <= {"ran", "late"}


def test_every_job_that_was_accepted_ended_and_every_slot_has_one_job(containers, load):
    load.stop()
    assert containers.stack.rqmon("cron", "pause", CRON_ID).returncode == 0
    every = list(load.accepted)
    assert len(every) > 100

    def all_ended():
        return set(load.fates(every)) <= {"finished", "failed", "lost"}

    wait_for(all_ended, seconds=ENDED_WITHIN_SECONDS, what="every accepted job has ended")
    for fault in load.faults:
        fault.fates = load.fates(fault.jobs)
    fates = load.fates(every)
    assert fates["lost"] == 0
    assert fates["failed"] <= len(FAULTS), "no more than a worker's one job fails with it"

    jobs = load.jobs_of_slots()
    assert len(jobs) == min(100, load.outcomes().total())
    assert len(set(jobs)) == len(jobs)
    wait_for(
        lambda: set(load.fates(jobs)) <= {"finished", "failed"},
        seconds=ENDED_WITHIN_SECONDS,
        what="the job of each of the last hundred slots has ended",
    )


def test_it_is_well_again_when_redis_lost_its_data(containers, load):
    started = time.monotonic()
    docker("exec", containers.id("redis"), "sh", "-c", "rm -rf /data/*")
    containers.crash("redis")
    wait_until_well(containers, load)
    load.faults.append(Fault("redis loses its data", time.monotonic() - started))
    listed = containers.stack.rqmon("cron", "list").stdout
    assert "Queue health check" in listed, "the entries of cron-scheduler.py are back"
