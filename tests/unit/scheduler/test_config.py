import dataclasses

import pytest

from scheduler import ConfigError, Settings
from scheduler.config import check_redis_url, current
from scheduler.errors import ScheduleConflictError


def test_defaults_hold_when_nothing_is_set():
    assert Settings.from_env({}) == Settings(redis_url="redis://localhost:6379/0", log_level="INFO")


def test_an_empty_variable_is_unset():
    assert Settings.from_env({"RQ_REDIS_URL": "", "RQ_LOG_LEVEL": ""}) == Settings()


@pytest.mark.parametrize(
    "url", ["redis://h", "rediss://:pw@h:6380/3", "unix:///run/redis.sock", "redis://:p%40ss@127.0.0.1:1/0"]
)
def test_redis_urls_are_taken(url):
    assert Settings.from_env({"RQ_REDIS_URL": url}).redis_url == url


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:secret@h/0?foo=bar", "unexpected keyword argument 'foo'"),
        ("redis://:secret@h/0?db=x", "Invalid value for 'db' in connection URL."),
        ("redis://:secret@h/0?socket_timeout=soon", "Invalid value for 'socket_timeout' in connection URL."),
        ("redis://:secret@h/0?protocol=9", "protocol must be either 2 or 3"),
        ("rediss://:secret@h/0?ssl_cert_reqs=maybe", "Invalid SSL Certificate Requirements Flag: maybe"),
        ("redis://:secret@h/0?protocol=x", "protocol"),
        ("redis://:secret@h/0?retry=5", "retry can't be given in a URL"),
        ("redis://:secret@h/0?decode_responses=True", "decode_responses can't be given in a URL"),
        ("redis://:secret@h/0?credential_provider=x", "credential_provider can't be given in a URL"),
        ("redis://:secret@h/0?socket_timeout=-1", "socket_timeout is -1.0"),
        ("redis://:secret@h/0?socket_timeout=nan", "socket_timeout is nan"),
        ("redis://:secret@h/0?socket_connect_timeout=inf", "socket_connect_timeout is inf"),
        ("redis://:secret@h/0?encoding=none", "unknown encoding: none"),
        ("redis://:secret@h/0?encoding_errors=none", "unknown error handler name 'none'"),
        ("redis://:secret@redis..example/0", "label empty or too long"),
        (f"redis://:secret@{'a' * 70}/0", "label"),
        ("redis://:secret@h\udcff/0", "idna"),
        ("REDIS://:secret@h/0", "Redis URL must specify one of the following schemes"),
        ("redis://:secret@h/0?socket_keepalive_options=", "socket_keepalive_options can't be given in a URL"),
    ],
)
def test_a_url_that_redis_py_refuses_is_refused_with_its_reason_each_time(url, reason):
    for _ in range(2):
        with pytest.raises(ConfigError, match="RQ_REDIS_URL is a URL that redis-py refuses") as error:
            check_redis_url(url)
        assert reason in str(error.value)
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["", "h:6379", "http://h", "redis://", "redis://h:port", "redis://h/notadb", "redis://:pw@h:99999"]
)
def test_what_is_no_redis_url_is_refused_without_showing_it(url):
    with pytest.raises(ConfigError, match="RQ_REDIS_URL is not a Redis URL") as error:
        check_redis_url(url)
    assert "pw" not in str(error.value)


def test_log_level_names_the_levels():
    assert Settings.from_env({"RQ_LOG_LEVEL": "debug"}).log_level == "DEBUG"
    with pytest.raises(ConfigError, match="'LOUD': use one of DEBUG, INFO"):
        Settings.from_env({"RQ_LOG_LEVEL": "loud"})


@pytest.mark.parametrize("buckets", ["1,nan", "nan", "1,inf", "0,1", "-1,1", "2,1", "1,1", "1,,2", "x"])
def test_buckets_are_finite_rising_seconds(buckets):
    with pytest.raises(ConfigError, match="RQ_JOB_BUCKETS is not a list of ascending seconds"):
        Settings.from_env({"RQ_JOB_BUCKETS": buckets})
    assert Settings.from_env({"RQ_JOB_BUCKETS": "0.1,1,60"}).job_buckets_seconds == (0.1, 1.0, 60.0)


def test_the_serializer_is_one_of_two():
    assert Settings.from_env({}).serializer == "pickle"
    assert Settings.from_env({"RQ_SERIALIZER": "JSON"}).serializer == "json"
    with pytest.raises(ConfigError, match=r"^RQ_SERIALIZER is 'yaml': use pickle or json$"):
        Settings.from_env({"RQ_SERIALIZER": "yaml"})


def test_an_errors_docstring_is_its_message():
    assert str(ScheduleConflictError()).startswith("Give one of cron, interval_seconds and time_delta")
    assert str(ScheduleConflictError("other")) == "other"


def test_the_environments_settings_are_read_again_only_when_it_has_changed(monkeypatch):
    monkeypatch.setenv("RQ_LOG_LEVEL", "debug")
    before = current()
    assert current() is before
    assert before.log_level == "DEBUG"
    monkeypatch.setenv("RQ_SERIALIZER", "json")
    assert current() == dataclasses.replace(before, serializer="json")
    monkeypatch.setenv("RQ_SERIALIZER", "yaml")
    for _ in range(2):
        with pytest.raises(ConfigError, match="RQ_SERIALIZER"):
            current()
    monkeypatch.delenv("RQ_SERIALIZER")
    assert current() == before
