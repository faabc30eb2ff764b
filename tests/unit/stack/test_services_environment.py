import re
import resource

import pytest
from dotenv import dotenv_values

from rqmon.entry_point import one_line_errors
from rqmon.stack import compose
from rqmon.stack.environment import StackConfig, complete_env_file, overruled
from rqmon.stack.native.commands import environment
from rqmon.stack.services import StackError
from scheduler.errors import ConfigError
from tests import ROOT
from tests.servers import free_port

ODD = r"""a$b $1 #c"d'e\f%g %(ENV_HOME)s@/é """
ODD_IN_ENV = "'" + ODD.replace("'", r"\'") + "'"
PASSWORDS = ("REDIS_PASSWORD", "RQ_DASHBOARD_PASSWORD", "GRAFANA_ADMIN_PASSWORD")


def config_of(path):
    return StackConfig.from_env({"RQMON_ENV_FILE": str(path)})


def test_a_missing_file_is_made_with_random_passwords_for_its_owner_only(tmp_path):
    first, second = tmp_path / "1.env", tmp_path / "2.env"
    added = complete_env_file(first)
    complete_env_file(second)

    assert oct(first.stat().st_mode & 0o777) == oct(0o600)
    variables, others = config_of(first).variables, config_of(second).variables
    assert set(added) == set(variables)
    for name in PASSWORDS:
        assert len(variables[name]) >= 32
        assert variables[name] != others[name]
    assert len({variables[name] for name in PASSWORDS}) == len(PASSWORDS)
    ports = {name: variables[name] for name in variables if name.endswith("_PORT")}
    assert ports == {
        "REDIS_PORT": "6379",
        "RQ_EXPORTER_PORT": "9726",
        "PROMETHEUS_PORT": "9090",
        "ALERTMANAGER_PORT": "9093",
        "ALERT_LOG_PORT": "9095",
        "GRAFANA_PORT": "4000",
        "RQ_DASHBOARD_PORT": "9181",
    }
    config_of(first).check()


def test_the_redis_url_follows_the_password_and_port(tmp_path):
    path = tmp_path / ".env"
    path.write_text("REDIS_PASSWORD=mine\nREDIS_PORT=7001\n")
    complete_env_file(path)
    assert config_of(path).variables["RQ_REDIS_URL"] == "redis://:mine@127.0.0.1:7001/0"


def test_a_full_disk_costs_nothing_that_is_there(tmp_path):
    path = tmp_path / ".env"
    path.write_text("REDIS_PASSWORD=mine\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
    try:
        with pytest.raises(ConfigError, match="can't be written"):
            complete_env_file(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "REDIS_PASSWORD=mine\n"


@pytest.mark.parametrize("end", ["\n", ""])
def test_what_is_missing_is_appended_and_nothing_is_changed(tmp_path, end):
    path = tmp_path / ".env"
    mine = f"# my own remark\nGRAFANA_PORT=4444\nSOMETHING_ELSE='kept as it is'{end}"
    path.write_text(mine)
    path.chmod(0o644)

    added = complete_env_file(path)

    assert "GRAFANA_PORT" not in added
    assert path.read_text().startswith(mine.rstrip())
    assert config_of(path).variables["GRAFANA_PORT"] == "4444"
    assert config_of(path).variables["SOMETHING_ELSE"] == "kept as it is"
    assert path.stat().st_mode & 0o777 == 0o600
    once = path.read_text()
    assert complete_env_file(path) == ()
    assert path.read_text() == once


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("REDIS_PASSWORD=", "REDIS_PASSWORD .* is empty"),
        (f"REDIS_PORT={'9' * 5000}", "REDIS_PORT .* give it a number from 1 to 65535"),
        ("RQ_DASHBOARD_USERNAME=a:b", "has a colon"),
        ("RQ_DASHBOARD_URL_PREFIX=rq/", "use a path such as /rq"),
        ("RQ_DASHBOARD_BIND=0.0.0.0", "set one of them"),
        ("RQ_DASHBOARD_REDIS_HOST=elsewhere", "is not supported: write it into RQ_DASHBOARD_REDIS_URL"),
        ("REDIS_PASSWORD=p@ss/word", "REDIS_PASSWORD .* has a character that is invalid there in a URL"),
        ("REDIS_PASSWORD=p@ss${b}word", r"REDIS_PASSWORD .* has \$\{, which would insert another variable's"),
        ("RQ_DASHBOARD_PASSWORD='p@ss${b}'", r"RQ_DASHBOARD_PASSWORD .* has \$\{"),
        ("GRAFANA_ADMIN_PASSWORD=p@ss${", r"GRAFANA_ADMIN_PASSWORD .* has \$\{"),
        ("PROMETHEUS_PORT=http", "PROMETHEUS_PORT .* is 'http': give it a number from 1 to 65535"),
        ("RQ_SERIALIZER=jsn", "RQ_SERIALIZER is 'jsn': use pickle or json"),
        ("RQMON_RUNBOOK_URL=docs/p@ss", "RQMON_RUNBOOK_URL is no URL"),
        ("RQMON_ALERT_WEBHOOK_URL=p@ss", "RQMON_ALERT_WEBHOOK_URL is no URL"),
        ("GRAFANA_PORT=70000", "GRAFANA_PORT .* is '70000'"),
        ("GRAFANA_PORT=9090", "PROMETHEUS_PORT and GRAFANA_PORT .* are both 9090"),
    ],
)
def test_a_bad_variable_is_refused_by_name_without_its_secret(tmp_path, line, message):
    path = tmp_path / ".env"
    path.write_text(f"{line}\n")
    complete_env_file(path)
    with pytest.raises(ConfigError, match=message) as refused:
        config_of(path).check()
    assert "p@ss" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("line", ['A="p@ss', "A='p@ss'word'", 'A="p@ss\\"', "p@ss word"])
def test_a_line_that_cant_be_read_is_refused_by_number_and_nothing_is_added(tmp_path, line):
    path = tmp_path / ".env"
    text = f"REDIS_PORT=6379\n\n\n{line}\nGRAFANA_PORT=4000\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"^Line 4 of .* can't be read: write NAME=value") as refused:
        complete_env_file(path)
    assert "p@ss" not in str(refused.value)
    assert path.read_text() == text


def test_any_other_password_is_the_same_in_both_modes(tmp_path):
    path = tmp_path / ".env"
    path.write_text(f"RQ_DASHBOARD_PASSWORD={ODD_IN_ENV}\nGRAFANA_ADMIN_PASSWORD={ODD_IN_ENV}\n")
    complete_env_file(path)
    config = StackConfig.from_env({"RQMON_ENV_FILE": str(path), "RQMON_STATE_DIR": str(tmp_path)})
    config.check()
    natively = environment(config, {})
    assert natively["RQ_DASHBOARD_PASSWORD"] == natively["GF_SECURITY_ADMIN_PASSWORD"] == ODD
    compose.write_secrets(config)
    in_container = dotenv_values(tmp_path / "secrets/rq.env")
    assert in_container["RQ_DASHBOARD_PASSWORD"] == (tmp_path / "secrets/grafana_password").read_text() == ODD


def test_the_previews_links_lead_to_the_stacks_own_rq_dashboard(tmp_path):
    path = tmp_path / ".env"
    path.write_text("RQ_DASHBOARD_PORT=7181\n")
    complete_env_file(path)
    assert environment(config_of(path), {})["RQ_DASHBOARD_URL"] == "http://127.0.0.1:7181"


def test_the_file_wins_over_the_shell_and_no_password_is_in_the_repr(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text(f"REDIS_PORT={free_port()}\n")
    monkeypatch.setenv("REDIS_PORT", "1")
    complete_env_file(path)
    config = config_of(path)
    assert config.variables["REDIS_PORT"] != "1"
    assert config.variables["REDIS_PASSWORD"] not in repr(config)


def test_what_a_first_start_is_given_goes_into_the_file(tmp_path):
    path = tmp_path / ".env"
    url = "redis://:p'w@10.0.0.5:6379/2"
    given = {
        "REDIS_PORT": "7001",
        "RQ_REDIS_URL": url,
        "RQ_SERIALIZER": "json",
        "COMPOSE_PROJECT_NAME": "other",
    }
    added = complete_env_file(path, {**given, "HOME": "/", "GRAFANA_PORT": ""})
    variables = config_of(path).variables
    assert {"REDIS_PORT", "RQ_SERIALIZER"} <= set(added)
    assert {name: variables[name] for name in ("REDIS_PORT", "RQ_REDIS_URL", "RQ_SERIALIZER")} == {
        "REDIS_PORT": "7001",
        "RQ_REDIS_URL": url,
        "RQ_SERIALIZER": "json",
    }
    assert variables["GRAFANA_PORT"] == "4000"
    assert variables["COMPOSE_PROJECT_NAME"] != "other", "it would act on another copy's containers"
    assert "HOME" not in variables


def test_what_a_later_start_is_given_is_named_and_changes_nothing(tmp_path):
    path = tmp_path / ".env"
    complete_env_file(path, {"REDIS_PORT": "7001"})
    before = path.read_text()
    given = {"REDIS_PORT": "7002", "PROMETHEUS_PORT": "9090", "OTHER": "1"}
    assert complete_env_file(path, given) == ()
    assert path.read_text() == before
    assert overruled(config_of(path), given) == ("REDIS_PORT",)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_is_one_line(tmp_path, encoding):
    path = tmp_path / ".env"
    path.write_bytes("# grüße\nREDIS_PORT=6381\n".encode(encoding))
    for read in (config_of, complete_env_file):
        with pytest.raises(ConfigError, match=r"\.env is not in UTF-8: save it in that encoding"):
            read(path)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("A=b\0c", r"Line 3 of .*\.env has a NUL byte: save it as text"),
        ("A\0=b", r"Line 3 of .*\.env has a NUL byte: save it as text"),
        ("'A=B'=c", r"Line 3 of .*\.env has a = in its name: write NAME=value"),
        ("'=A'=c", r"Line 3 of .*\.env has a = in its name: write NAME=value"),
    ],
)
def test_what_no_environment_can_have_is_one_line(tmp_path, capsys, monkeypatch, line, message):
    path = tmp_path / ".env"
    path.write_text(f"REDIS_PORT=6381\n\n{line}\n")
    for read in (config_of, complete_env_file):
        with pytest.raises(ConfigError, match=message):
            read(path)
    monkeypatch.setenv("RQMON_ENV_FILE", str(path))
    with pytest.raises(SystemExit), one_line_errors("rqmon"):
        pass
    assert re.fullmatch(f"rqmon: {message}.*\n", capsys.readouterr().err.replace("\n", " ").strip() + "\n")


def test_a_file_that_cant_be_read_is_one_line(tmp_path):
    (tmp_path / ".env").mkdir()
    with pytest.raises(ConfigError, match=r"\.env can't be read \(Is a directory\)"):
        config_of(tmp_path / ".env")


def test_a_mark_of_byte_order_is_no_part_of_a_name(tmp_path):
    path = tmp_path / ".env"
    path.write_text("REDIS_PORT=6381\n", encoding="utf-8-sig")
    assert config_of(path).variables == {"REDIS_PORT": "6381"}


@pytest.mark.parametrize(
    ("given", "in_containers"),
    [
        ("redis://:mine@127.0.0.1:7001/0", "redis://:mine@redis:6379/0"),
        ("redis://:mine@localhost:7001/3?socket_timeout=9", "redis://:mine@redis:6379/3?socket_timeout=9"),
        ("rediss://u:p@redis.example.org:6380/1", "rediss://u:p@redis.example.org:6380/1"),
    ],
)
def test_containers_work_on_the_redis_and_database_of_the_file(tmp_path, given, in_containers):
    path = tmp_path / ".env"
    path.write_text(f"REDIS_PASSWORD=mine\nREDIS_PORT=7001\nRQ_REDIS_URL={given}\n")
    complete_env_file(path)
    config = StackConfig.from_env({"RQMON_ENV_FILE": str(path), "RQMON_STATE_DIR": str(tmp_path)})
    compose.write_secrets(config)
    assert dotenv_values(tmp_path / "secrets/rq.env")["RQ_REDIS_URL"] == in_containers


@pytest.mark.parametrize("given", ["redis://127.0.0.1:7002/0", "unix:///run/redis.sock"])
def test_a_redis_that_containers_cant_reach_is_refused(tmp_path, given):
    path = tmp_path / ".env"
    path.write_text(f"REDIS_PORT=7001\nRQ_REDIS_URL={given}\n")
    complete_env_file(path)
    config = StackConfig.from_env({"RQMON_ENV_FILE": str(path), "RQMON_STATE_DIR": str(tmp_path)})
    with pytest.raises(StackError, match=r"RQ_REDIS_URL .* out of containers' reach"):
        compose.write_secrets(config)


def test_by_default_everything_is_in_the_project():
    config = StackConfig.from_env({})
    assert (config.env_file, config.state_dir) == (ROOT / ".env", ROOT / ".rqmon")
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert ".env" in ignored
    assert ".rqmon/" in ignored


def test_every_port_has_a_remark_or_a_title(tmp_path):
    path = tmp_path / ".env"
    complete_env_file(path)
    blocks = path.read_text().strip().split("\n\n")
    assert len(blocks) == 5
    assert all(re.match(r"# [A-Z].*\.\n?", block) for block in blocks)
