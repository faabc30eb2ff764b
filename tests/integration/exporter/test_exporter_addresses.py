"""Where the exporter finds Redis: the command line beats the environment, which beats `.env`."""

import os
import subprocess
import sys

import pytest

from tests import ROOT

# The address and password it would use, taken from the program as it starts; 6379 is the default.
ASK = """
import rqmon.exporter.app as exporter
def say(found, **_):
    kwargs = [s.client.connection_pool.connection_kwargs for s in found]
    found = [[str(k.get("port", 6379)), *filter(None, [k.get("password")])] for k in kwargs]
    raise SystemExit(" ".join("/".join(parts) for parts in found))
exporter.Scrapes = say
"""
ASK_PROGRAM = f"{ASK}from rqmon.exporter.__main__ import main; main()"
ASK_APP = f"{ASK}from rqmon.exporter import create_app; create_app()"


def ports(
    folder,
    *arguments,
    code=ASK_PROGRAM,
    env_file="RQ_REDIS_URL=redis://127.0.0.1:7001/0\n",
    **environment,
):
    (folder / ".env").write_text(env_file)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RQ_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((), {}, "7001"),
        (("--redis-host", "127.0.0.1", "--redis-port", "7002"), {}, "7002"),
        (("--redis-port=7002",), {"RQ_REDIS_URL": "redis://127.0.0.1:7003/0"}, "7002"),
        (("--redis-host", "h"), {}, "6379"),
        (("--redis-url", "redis://h:7002"), {"RQ_REDIS_URLS": "redis://a:7003,redis://b:7004"}, "7002"),
        ((), {"RQ_REDIS_HOST": "127.0.0.1", "RQ_REDIS_PORT": "7003"}, "7003"),
        ((), {"RQ_REDIS_URLS": "redis://a:7003,redis://b:7004"}, "7003 7004"),
        # Within one source the URL wins, as in rq-exporter.
        ((), {"RQ_REDIS_URL": "redis://h:7003", "RQ_REDIS_PORT": "7004"}, "7003"),
    ],
)
def test_the_stronger_source_of_an_address_counts(tmp_path, arguments, environment, expected):
    assert ports(tmp_path, *arguments, **environment) == expected
    if not arguments:  # which other WSGI servers define themselves
        assert ports(tmp_path, code=ASK_APP, **environment) == expected


def test_several_servers_in_the_env_file_are_outranked_too(tmp_path):
    (tmp_path / "own").mkdir()
    env_file = tmp_path / "own/.env"
    env_file.write_text("RQ_REDIS_URLS=redis://a:7001,redis://b:7002\n")
    asked = {"RQMON_ENV_FILE": str(env_file)}
    assert ports(tmp_path, "--redis-port", "7003", **asked) == "7003"
    assert ports(tmp_path, **asked, RQ_REDIS_URL="redis://h:7004") == "7004"


def test_one_server_in_the_environment_outranks_several_in_the_env_file(tmp_path):
    several = "RQ_REDIS_URLS=redis://a:7001,redis://b:7002\nRQ_REDIS_URL=redis://a:7001\n"
    assert ports(tmp_path, env_file=several) == "7001 7002"
    assert ports(tmp_path, env_file=several, RQ_REDIS_URL="redis://h:7004") == "7004"
    assert ports(tmp_path, env_file=several, RQ_REDIS_URL="", RQ_REDIS_PORT="7005") == "7005"
    both = {"RQ_REDIS_URL": "redis://h:7004", "RQ_REDIS_URLS": "redis://c:7005,redis://d:7006"}
    assert ports(tmp_path, env_file=several, **both) == "7005 7006"


OWN = "RQ_REDIS_URL=redis://:url@127.0.0.1:7001/0\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ((), {}, "7001/url"),
        (("--redis-pass", "given"), {}, "7001/given"),
        (("--redis-pass", "given"), {"RQ_REDIS_URL": "redis://:url@h:7003"}, "7003/given"),
        (("--redis-url", "redis://h:7004", "--redis-pass", "given"), {}, "7004/given"),
        (("--redis-pass-file", "secret"), {}, "7001/of-file"),
        (("--redis-pass", "given"), {"RQ_REDIS_PASS_FILE": "secret"}, "7001/given"),
        (("--redis-pass", "given", "--redis-pass-file", "secret"), {}, "7001/of-file"),
        ((), {"RQ_REDIS_PASS": "given"}, "7001/given"),
        ((), {"RQ_REDIS_PASS_FILE": "secret"}, "7001/of-file"),
        # Within one source the URL wins, as in rq-exporter, and also over weaker sources.
        ((), {"RQ_REDIS_URL": "redis://:url@h:7003", "RQ_REDIS_PASS": "given"}, "7003/url"),
        (("--redis-url", "redis://:url@h:7004"), {"RQ_REDIS_PASS": "given"}, "7004/url"),
        (("--redis-port", "7005"), {"RQ_REDIS_PASS": "given"}, "7005/given"),
    ],
)
def test_a_password_counts_beside_the_url_of_a_weaker_source(tmp_path, arguments, environment, expected):
    (tmp_path / "secret").write_text("of-file\n")
    assert ports(tmp_path, *arguments, env_file=OWN, **environment) == expected
    if not arguments:
        assert ports(tmp_path, code=ASK_APP, env_file=OWN, **environment) == expected


def test_a_password_outranks_the_env_files_password_file(tmp_path):
    (tmp_path / "secret").write_text("of-file\n")
    lines = f"{OWN}RQ_REDIS_PASS_FILE=secret\n"
    assert ports(tmp_path, env_file=lines) == "7001/url"
    assert ports(tmp_path, env_file=lines, RQ_REDIS_PASS="given") == "7001/given"


@pytest.mark.parametrize("arguments", [(), ("--redis-pass", "given")])
def test_one_password_for_several_servers_is_refused(tmp_path, arguments):
    environment = {} if arguments else {"RQ_REDIS_PASS": "given"}
    said = ports(tmp_path, *arguments, env_file="RQ_REDIS_URLS=redis://a,redis://b\n", **environment)
    assert said.startswith("rq-exporter: RQ_REDIS_URLS names servers with their own passwords")


def test_a_password_file_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "secret").write_bytes(b"\xff")
    said = ports(tmp_path, "--redis-pass-file", "secret")
    assert said.startswith("rq-exporter: RQ_REDIS_PASS_FILE can't be read")


def test_an_address_on_the_command_line_that_redis_py_refuses_is_one_line(tmp_path):
    said = ports(tmp_path, "--redis-url", "redis://h/0?foo=bar")
    assert said.startswith("rq-exporter: RQ_REDIS_URL is a URL that redis-py refuses (unexpected keyword")
