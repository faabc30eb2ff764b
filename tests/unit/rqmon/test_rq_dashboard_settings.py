import dataclasses
import re
from pathlib import Path

import pytest
import rq_dashboard
from rq_dashboard import cli

from rqmon.guarded_rq_dashboard import options
from rqmon.guarded_rq_dashboard.servers import connect
from rqmon.guarded_rq_dashboard.settings import DashboardSettings
from scheduler import ConfigError

PASSWORD = {"RQ_DASHBOARD_PASSWORD": "s3cret"}


def test_everything_but_the_password_has_a_default():
    settings = DashboardSettings.from_env(PASSWORD)
    assert (settings.host, settings.port, settings.username) == ("127.0.0.1", 9181, "rq")
    assert settings.redis_urls == ("redis://localhost:6379/0",)
    assert (settings.url_prefix, settings.poll_interval_milliseconds) == ("", 2500)
    assert (settings.disable_delete, settings.full_args, settings.serializer) == (False, False, "pickle")


def test_every_variable_is_read():
    settings = DashboardSettings.from_env(
        {
            "RQ_REDIS_URL": "redis://:hidden@redis:6380/2",
            "RQ_DASHBOARD_HOST": "127.0.0.2",
            "RQ_DASHBOARD_PORT": "8080",
            "RQ_DASHBOARD_USERNAME": "ann",
            "RQ_DASHBOARD_PASSWORD": "s3cret",
            "RQ_DASHBOARD_URL_PREFIX": "/ops/rq",
            "RQ_DASHBOARD_POLL_INTERVAL": "1000",
            "RQ_DASHBOARD_DISABLE_DELETE": "Yes",
            "RQ_DASHBOARD_SHOW_FULL_ARGS": "true",
            "RQ_DASHBOARD_JSON_SERIALIZER": "on",
        }
    )
    assert (settings.url_prefix, settings.poll_interval_milliseconds) == ("/ops/rq", 1000)
    assert (settings.disable_delete, settings.full_args, settings.serializer) == (True, True, "json")
    assert (settings.host, settings.port, settings.username) == ("127.0.0.2", 8080, "ann")
    assert (settings.redis_urls, settings.password) == (("redis://:hidden@redis:6380/2",), "s3cret")
    assert "hidden" not in repr(settings)
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({}, "RQ_DASHBOARD_PASSWORD"),
        ({"RQ_DASHBOARD_PASSWORD": ""}, "RQ_DASHBOARD_PASSWORD"),
        ({**PASSWORD, "RQ_DASHBOARD_USERNAME": "a:b"}, "RQ_DASHBOARD_USERNAME"),
        ({**PASSWORD, "RQ_DASHBOARD_PORT": "http"}, "RQ_DASHBOARD_PORT"),
        ({**PASSWORD, "RQ_DASHBOARD_PORT": "65536"}, "RQ_DASHBOARD_PORT"),
        ({**PASSWORD, "RQ_DASHBOARD_PORT": "9" * 5000}, "RQ_DASHBOARD_PORT"),
        ({**PASSWORD, "RQ_REDIS_URL": "http://localhost"}, "RQ_REDIS_URL"),
        ({**PASSWORD, "RQ_DASHBOARD_REDIS_URL": "redis://a redis+sentinel://b"}, "number 2"),
        ({**PASSWORD, "RQ_DASHBOARD_REDIS_URL": "redis+sentinel://a/mine/0?db=1"}, "RQ_DASHBOARD_REDIS_URL"),
        ({**PASSWORD, "RQ_DASHBOARD_REDIS_SENTINEL_PASSWORD": "x"}, "REDIS_SENTINEL_PASSWORD"),
        ({**PASSWORD, "RQ_DASHBOARD_HOST": "a", "RQ_DASHBOARD_BIND": "b"}, "RQ_DASHBOARD_BIND"),
        ({**PASSWORD, "RQ_DASHBOARD_URL_PREFIX": "/rq/"}, "RQ_DASHBOARD_URL_PREFIX"),
        ({**PASSWORD, "RQ_DASHBOARD_POLL_INTERVAL": "2.5"}, "RQ_DASHBOARD_POLL_INTERVAL"),
        ({**PASSWORD, "RQ_DASHBOARD_POLL_INTERVAL": "0"}, "RQ_DASHBOARD_POLL_INTERVAL"),
        ({**PASSWORD, "RQ_DASHBOARD_SHOW_FULL_ARGS": "all"}, "RQ_DASHBOARD_SHOW_FULL_ARGS"),
    ],
)
def test_bad_input_names_the_variable(environ, variable):
    with pytest.raises(ConfigError, match=variable):
        DashboardSettings.from_env(environ)


def test_an_address_of_one_name_or_the_other():
    assert DashboardSettings.from_env({**PASSWORD, "RQ_DASHBOARD_BIND": "0.0.0.0"}).host == "0.0.0.0"


def test_each_option_of_rq_dashboard_does_something_or_is_refused():
    """rq-dashboard's command line reads a variable for each option; the others are in its code."""
    names = {parameter.name.upper() for parameter in cli.run.params}
    source = Path(rq_dashboard.__file__).parent
    code = "".join((source / name).read_text() for name in ("web.py", "app.py", "legacy_config.py", "cli.py"))
    names |= set(re.findall(r"RQ_DASHBOARD_([A-Z_]*[A-Z])", code))
    assert len(names) > 20
    environ = {f"RQ_DASHBOARD_{name}": "1" for name in names}
    assert options.unknown(environ) == []
    refused = {name for name in names if is_refused(name)}
    used = names - refused
    fields = {field.name.upper() for field in dataclasses.fields(DashboardSettings)}
    elsewhere = {"BIND", "JSON", "JSON_SERIALIZER", "REDIS_URL", "POLL_INTERVAL", "SHOW_FULL_ARGS"}
    assert used - fields - elsewhere == {"REDIS_SENTINEL_PASSWORD"}


def is_refused(name):
    try:
        options.check({f"RQ_DASHBOARD_{name}": "1"})
    except ConfigError as error:
        return f"RQ_DASHBOARD_{name} is not supported: " in str(error)
    return False


def test_what_is_empty_or_off_asks_for_nothing():
    options.check({"RQ_DASHBOARD_REDIS_HOST": "", "RQ_DASHBOARD_DEBUG": "false", "RQ_DASHBOARD_VERBOSE": "0"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@h", "h:6379/0"),
        ("redis://h:1/2", "h:1/2"),
        ("redis://h:1/2?db=3", "h:1/3"),
        ("unix:///run/redis.sock?password=secret", "/run/redis.sock/0"),
        ("unix:///run/redis.sock?db=3", "/run/redis.sock/3"),
    ],
)
def test_a_server_is_named_by_its_place_and_database(url, shown):
    environ = {"RQ_DASHBOARD_PASSWORD": "x", "RQ_DASHBOARD_REDIS_URL": url}
    [server] = connect(DashboardSettings.from_env(environ))
    assert server.address == shown
