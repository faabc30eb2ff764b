"""Stored arguments are read as they were written, and never unpickled under RQ_SERIALIZER=json."""

import json
import pickle

import pytest

from scheduler import CronError, Scheduler, Settings, job_scheduler
from scheduler.cron.constants import EVERY_MINUTE
from scheduler.cron.store.registry import DATA, SPECS, CronRegistry
from tests.jobs import Canary, echo


def test_an_entrys_arguments_are_read_as_they_were_written(rq_redis_url):
    with Scheduler(settings=Settings(redis_url=rq_redis_url, serializer="json")) as scheduler:
        scheduler.cron("q", EVERY_MINUTE, echo, ("a",), {"b": 1}, cron_id="x")
        [entry] = scheduler.scheduled_jobs()
    assert (entry.args, entry.kwargs) == (("a",), {"b": 1})


def test_an_entrys_arguments_are_not_unpickled_under_json(redis_connection, tmp_path, monkeypatch):
    with Scheduler() as scheduler:
        scheduler.cron("q", EVERY_MINUTE, echo, ("a",), cron_id="x")
        song = pickle.dumps(("tests.jobs.echo", None, (Canary(tmp_path / "sung"),), {}))
        redis_connection.hset(DATA, "x", song)
        [entry] = scheduler.scheduled_jobs()
    monkeypatch.setenv("RQ_SERIALIZER", "json")
    with pytest.raises(CronError, match="is pickled, but RQ_SERIALIZER is json"):
        _ = entry.args
    assert not (tmp_path / "sung").exists()


def test_an_entry_of_an_unknown_serializer_is_unreadable(redis_connection):
    job_scheduler(echo, queue_name="q", cron=EVERY_MINUTE, cron_id="x")
    spec = json.loads(redis_connection.hget(SPECS, "x")) | {"serializer": "yaml"}
    redis_connection.hset(SPECS, "x", json.dumps(spec))
    listing = CronRegistry(redis_connection).listing()
    assert listing.states == ()
    assert "serializer is 'yaml': use pickle or json" in listing.unreadable["x"]
