import configparser
import shlex
import socket
import sys
import time

import pytest

from rqmon.stack.environment import StackConfig
from rqmon.stack.native import commands, packages, supervisor
from rqmon.stack.native.backend import NativeStack
from rqmon.stack.native.supervisor import Program, Supervisor
from rqmon.stack.native.supervisord_conf import command_variable, configuration
from rqmon.stack.services import EVERY, ServiceError, StackError


def test_each_service_is_a_program_with_its_command_and_its_time_to_end(config):
    parser = configparser.RawConfigParser()
    parser.read_string(configuration(EVERY))
    environment = commands.environment(config, {})
    for service in EVERY:
        program = parser[f"program:{service.name}"]
        assert program["stopwaitsecs"] == str(service.stop_seconds)
        assert program["command"] == f"%(ENV_{command_variable(service.name)})s"
        command = shlex.split(environment[command_variable(service.name)])
        assert command[-len(service.options) :] == list(service.options) or not service.options


@pytest.mark.parametrize(
    ("name", "in_checkout", "installed"),
    [
        ("rq_long", ["long-running-worker.py"], ["-P", "-m", "rqmon.cli", "worker", "long-running"]),
        ("rq_sched", ["cron-scheduler.py"], ["-P", "-m", "rqmon.cli", "cron", "run"]),
        ("doors", ["-P", "-m", "rqmon.doors"], ["-P", "-m", "rqmon.doors"]),
    ],
)
def test_an_installed_copy_has_commands_where_a_checkout_has_scripts(
    config, monkeypatch, name, in_checkout, installed
):
    for is_checkout, arguments in ((True, in_checkout), (False, installed)):
        monkeypatch.setattr(commands, "is_checkout", lambda is_checkout=is_checkout: is_checkout)
        command = shlex.split(commands.environment(config, {})[command_variable(name)])
        assert command == [sys.executable, *arguments]


def test_alerts_lead_to_the_runbooks_of_this_stack_or_to_what_env_says(config):
    assert commands.environment(config, {})["RQMON_RUNBOOK_URL"] == (
        f"http://127.0.0.1:{config.variables['ALERT_LOG_PORT']}/runbooks"
    )
    config.env_file.write_text(config.env_file.read_text() + "RQMON_RUNBOOK_URL=https://example.org/r.md\n")
    changed = StackConfig.from_env(
        {"RQMON_ENV_FILE": str(config.env_file), "RQMON_STATE_DIR": str(config.state_dir)}
    )
    assert commands.environment(changed, {})["RQMON_RUNBOOK_URL"] == "https://example.org/r.md"


@pytest.mark.parametrize("junk", ["", "[]", '{"redis": "x"}', '{"redis": [null]}', '{"redis": 1}'])
def test_restarts_that_cant_be_read_count_as_none(config, junk):
    (config.state_dir / "restarts.json").write_text(junk)
    assert Supervisor(config).ended_unasked() == {}


def test_a_supervisord_that_hangs_is_not_waited_for_without_end(config, monkeypatch):
    monkeypatch.setattr(supervisor, "_ANSWER_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as hangs:
        hangs.bind(str(config.state_dir / "supervisor.sock"))
        hangs.listen()
        found = Supervisor(config)
        assert not found.is_running()
        assert found.programs() == {}
        found.start("redis")
        found.stop("redis")


def test_missing_programs_that_cannot_be_installed_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="prometheus and prometheus-alertmanager must be installed first"):
        packages.install_missing()


def test_what_is_installed_is_not_installed_again(tmp_path, monkeypatch):
    for name in ("prometheus", "alertmanager"):  # its name in archives and other distributions
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    packages.install_missing()
    assert packages.find_alertmanager() == str(tmp_path / "alertmanager")


def test_grafana_is_used_when_its_program_and_defaults_are_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert packages.find_grafana() is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "bin/grafana").touch(mode=0o755)
    (tmp_path / "conf/defaults.ini").touch()
    grafana = packages.find_grafana()
    assert grafana == packages.Grafana(command=(str(tmp_path / "bin/grafana"), "server"), home=tmp_path)


@pytest.mark.parametrize(
    ("ended_seconds_ago", "uptime_seconds", "is_healthy"),
    [
        ((20, 16, 12), 10, False),
        ((500, 400, 300, 200, 100), 95, False),  # it takes more than a minute until it ends again
        ((70, 69, 68), 66, True),
        ((500, 450, 400), 390, True),
        ((95, 5), 1, True),
        ((5000, 4000, 5), 1, True),
    ],
)
def test_what_ends_again_and_again_is_not_healthy(
    config, monkeypatch, ended_seconds_ago, uptime_seconds, is_healthy
):
    runs = Program(state="RUNNING", pid=1, uptime_seconds=uptime_seconds, remark="")
    ended = [time.time() - ago for ago in ended_seconds_ago]
    monkeypatch.setattr(Supervisor, "programs", lambda _: {"doors": runs})
    monkeypatch.setattr(Supervisor, "ended_unasked", lambda _: {"doors": ended})
    [doors] = [state for state in NativeStack(config).states() if state.service.name == "doors"]
    assert doors.is_healthy is is_healthy


def test_a_service_error_says_which(config):
    assert str(ServiceError("redis", "exited")) == "redis is not healthy: exited"
