import pytest

from monitoring.rq_dashboard.settings import DashboardSettings
from scheduler import ConfigError

PASSWORD = {"RQ_DASHBOARD_PASSWORD": "s3cret"}


def test_everything_but_the_password_has_a_default():
    settings = DashboardSettings.from_env(PASSWORD)
    assert (settings.host, settings.port, settings.username) == ("127.0.0.1", 9181, "rq")
    assert settings.redis_url == "redis://localhost:6379/0"


def test_every_variable_is_read():
    settings = DashboardSettings.from_env(
        {
            "RQ_REDIS_URL": "redis://:hidden@redis:6380/2",
            "RQ_DASHBOARD_HOST": "127.0.0.2",
            "RQ_DASHBOARD_PORT": "8080",
            "RQ_DASHBOARD_USERNAME": "ann",
            "RQ_DASHBOARD_PASSWORD": "s3cret",
        }
    )
    assert (settings.host, settings.port, settings.username) == ("127.0.0.2", 8080, "ann")
    assert (settings.redis_url, settings.password) == ("redis://:hidden@redis:6380/2", "s3cret")
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
        ({**PASSWORD, "RQ_REDIS_URL": "http://localhost"}, "RQ_REDIS_URL"),
    ],
)
def test_bad_input_names_the_variable(environ, variable):
    with pytest.raises(ConfigError, match=variable):
        DashboardSettings.from_env(environ)
