import json
import os
import signal
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rqmon.cli import services
from rqmon.ports import free_ports
from rqmon.stack import lifecycle, runs
from rqmon.stack.services import CRON, ServiceState, StackError, check_ports_are_free
from tests import ROOT


def rqmon(config, *args, **env):
    variables = {"RQMON_ENV_FILE": str(config.env_file), "RQMON_STATE_DIR": str(config.state_dir)}
    # The plugin sets the URL of the tests' own Redis.
    environment = {k: v for k, v in os.environ.items() if k not in ("MODE", "RQ_REDIS_URL")}
    return subprocess.run(
        [sys.executable, "-m", "rqmon.cli", *args],
        cwd=ROOT,
        env={**environment, **variables, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_one_line_with_the_port_and_its_variable(config):
    port = int(config.variables["PROMETHEUS_PORT"])
    with socket.create_server(("127.0.0.1", port)):
        done = rqmon(config, "start", "--mode", "native")
    assert done.returncode == 2
    assert done.stderr == (
        f"rqmon: Port {port} is taken (PROMETHEUS_PORT): stop what listens there, "
        f"or choose a free port in {config.env_file}\n"
    )
    assert runs.recall(config) is None


def test_several_taken_ports_are_named_at_once(config):
    taken = [int(config.variables[name]) for name in ("REDIS_PORT", "GRAFANA_PORT")]
    with (
        socket.create_server(("127.0.0.1", taken[0])),
        socket.create_server(("", taken[1])),
        pytest.raises(StackError, match=rf"{taken[0]} .*REDIS_PORT.*{taken[1]} .*GRAFANA_PORT"),
    ):
        check_ports_are_free(config)


def test_free_ports_are_accepted(config):
    assert check_ports_are_free(config) is None


@pytest.mark.parametrize(("args", "env"), [(["--mode", "podman"], {}), ([], {"MODE": "podman"})])
def test_an_unknown_mode_is_one_line(config, args, env):
    done = rqmon(config, "start", *args, **env)
    assert done.returncode == 2
    assert done.stderr == "rqmon: Unknown mode 'podman': use docker or native\n"


def test_docker_mode_without_an_engine_is_one_line(config):
    done = rqmon(config, "start", MODE="docker", DOCKER_HOST="unix:///nonexistent/docker.sock")
    assert done.returncode == 2
    assert done.stderr.startswith("rqmon: No Docker engine with Compose answers")
    assert len(done.stderr.splitlines()) == 1


class ChosenError(Exception):
    """Ends a start once its backend is chosen."""


@pytest.mark.parametrize(("engine", "mode"), [(True, "docker"), (False, "native")])
def test_without_a_mode_an_engine_decides(config, monkeypatch, engine, mode):
    def choose(name):
        raise ChosenError(name)

    monkeypatch.setenv("RQMON_ENV_FILE", str(config.env_file))
    monkeypatch.setenv("RQMON_STATE_DIR", str(config.state_dir))
    monkeypatch.delenv("MODE", raising=False)
    monkeypatch.setattr(lifecycle, "engine_answers", lambda: engine)
    for name in ("docker", "native"):
        monkeypatch.setitem(lifecycle.BACKENDS, name, lambda _config, name=name: choose(name))
    with pytest.raises(ChosenError, match=mode):
        CliRunner().invoke(services.start, [], catch_exceptions=False)


def test_an_installed_copy_starts_no_containers_and_says_so(config, monkeypatch, capsys):
    monkeypatch.setattr(lifecycle, "is_checkout", lambda: False)
    monkeypatch.setattr(lifecycle, "engine_answers", lambda: True)
    prepared = SimpleNamespace(prepare=lambda: None)
    monkeypatch.setitem(lifecycle.BACKENDS, "native", lambda _config: prepared)
    assert lifecycle.new(config, None) is prepared
    assert capsys.readouterr().out == (
        "Containers are built from a checkout: this installed copy runs as plain processes.\n"
    )
    with pytest.raises(StackError, match="Containers are built from a checkout"):
        lifecycle.check_mode("docker")


def test_a_redis_that_is_silent_is_one_line_with_what_to_start(config):
    done = rqmon(config, "cron", "list", RQ_REDIS_URL=f"redis://127.0.0.1:{free_ports(1)[0]}")
    assert done.returncode == 2
    assert done.stderr.endswith("check RQ_REDIS_URL, or run make start-rq-mon\n")
    assert len(done.stderr.splitlines()) == 1


def test_stop_and_status_when_nothing_runs(config):
    stopped, status = rqmon(config, "stop"), rqmon(config, "status")
    assert (stopped.returncode, stopped.stdout) == (0, "Nothing was running.\n")
    assert (status.returncode, status.stdout) == (
        1,
        "Nothing is running: start it with make start-rq-mon\n",
    )


def test_logs_of_an_unknown_service_names_those_there_are(config):
    done = rqmon(config, "logs", "postgres")
    assert done.returncode == 2
    assert "There is no service 'postgres': use one of redis, rq_short" in done.stderr


def test_a_run_is_remembered_until_the_stack_is_stopped(config):
    run = runs.Run.of(config, "native")
    runs.remember(config, run)
    assert runs.recall(config) == run
    assert config.variables["REDIS_PASSWORD"] not in (config.state_dir / "run.json").read_text()
    runs.forget(config)
    assert runs.recall(config) is None


def test_a_broken_record_counts_as_none(config):
    (config.state_dir / "run.json").write_text(json.dumps({"other": 1}))
    assert runs.recall(config) is None


def test_two_starts_at_once_do_not_mix(config):
    with runs.exclusive(config):
        done = rqmon(config, "start")
    assert done.returncode == 2
    assert done.stderr.startswith("rqmon: Another start or stop")


@pytest.mark.parametrize("command", ["start", "status", "stop", "logs"])
def test_a_state_directory_that_cant_be_used_is_one_line(config, command):
    config.state_dir.rmdir()
    config.state_dir.touch()
    done = rqmon(config, command)
    assert done.returncode == 2
    assert done.stderr.startswith(f"rqmon: {config.state_dir} can't be used (")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["start", "status", "cron list"])
def test_an_env_file_in_another_encoding_is_one_line(config, command):
    config.env_file.write_bytes("# grüße\n".encode("latin-1"))
    done = rqmon(config, *command.split())
    assert done.returncode == 2
    assert done.stderr == (
        f"rqmon: {config.env_file} is not in UTF-8: save it in that encoding, or delete it to get a new one\n"
    )


def test_what_the_environment_has_otherwise_is_said_and_what_is_given_first_can_be_wrong(config, tmp_path):
    with socket.create_server(("127.0.0.1", int(config.variables["REDIS_PORT"]))):
        done = rqmon(config, "start", "--mode", "native", REDIS_PORT="1", GRAFANA_PORT="2")
    assert (
        f"The environment's REDIS_PORT, GRAFANA_PORT differ from {config.env_file}: the file's count."
        in done.stdout
    )
    config.env_file.unlink()
    refused = rqmon(config, "start", "--mode", "native", REDIS_PORT="many")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert "REDIS_PORT" in refused.stderr
    assert not config.env_file.exists()


def test_following_no_logs_is_one_line(config):
    done = rqmon(config, "logs", "--follow")
    assert done.returncode == 2
    assert done.stderr.startswith("rqmon: There are no logs")


def test_followed_logs_steer_no_terminal(config):
    (config.state_dir / "logs").mkdir()
    (config.state_dir / "logs/redis.log").write_bytes(b"a \x1b[2J\xff\n")
    variables = {"RQMON_ENV_FILE": str(config.env_file), "RQMON_STATE_DIR": str(config.state_dir)}
    following = subprocess.Popen(
        [sys.executable, "-m", "rqmon.cli", "logs", "--follow", "redis"],
        cwd=ROOT,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert "a \\x1b[2J" in following.stdout.readline()
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=20)
    assert following.returncode == 0


def test_status_steers_no_terminal(config, monkeypatch):
    state = ServiceState(service=CRON, is_healthy=False, description="queues nothing: \x1b]0;PWNED\x07")
    backend = SimpleNamespace(states=lambda: [state], is_running=lambda: True)
    monkeypatch.setattr(lifecycle, "recorded", lambda _config: backend)
    done = CliRunner().invoke(services.status, env={"RQMON_ENV_FILE": str(config.env_file), "COLUMNS": "200"})
    assert done.exit_code == 1
    assert "queues nothing: \\x1b]0;PWNED\\x07" in done.output
    assert "\x1b]" not in done.output


def test_a_folder_that_is_gone_is_no_traceback(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = (
        f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})\n"
        "from rqmon.cli.main import main; main(['cron', 'explain', '* * * * *'])"
    )
    environment = {k: v for k, v in os.environ.items() if k != "RQMON_ENV_FILE"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_words_are_english_and_alone_whatever_the_locale(config):
    done = rqmon(config, "cron", "explain", "30 8 * * MON-FRI", LC_ALL="C")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("At 08:30 AM, Monday through Friday (UTC)")
