"""Where the exporter finds Redis: the command line beats the environment, and that `.env`."""

import os
import subprocess
import sys

import pytest

from ops.environment import ROOT

# What it would connect to, asked of the program as it starts; 6379 is rq-exporter's default.
ASK = """
import monitoring.exporter.__main__ as exporter
def say(found, **_):
    kwargs = [s.client.connection_pool.connection_kwargs for s in found]
    raise SystemExit(" ".join(str(k.get("port", 6379)) for k in kwargs))
exporter.Scrapes = say
exporter.main()
"""


def ports(folder, *arguments, **environment):
    (folder / ".env").write_text("RQ_REDIS_URL=redis://127.0.0.1:7001/0\n")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RQ_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *arguments],
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
        # Of one source the URL counts, as in rq-exporter.
        ((), {"RQ_REDIS_URL": "redis://h:7003", "RQ_REDIS_PORT": "7004"}, "7003"),
    ],
)
def test_the_stronger_source_of_an_address_counts(tmp_path, arguments, environment, expected):
    assert ports(tmp_path, *arguments, **environment) == expected


def test_several_servers_in_the_env_file_are_outranked_too(tmp_path):
    (tmp_path / "own").mkdir()
    env_file = tmp_path / "own/.env"
    env_file.write_text("RQ_REDIS_URLS=redis://a:7001,redis://b:7002\n")
    asked = {"RQMON_ENV_FILE": str(env_file)}
    assert ports(tmp_path, "--redis-port", "7003", **asked) == "7003"
    assert ports(tmp_path, **asked, RQ_REDIS_URL="redis://h:7004") == "7004"


def test_an_address_on_the_command_line_that_redis_py_refuses_is_one_line(tmp_path):
    said = ports(tmp_path, "--redis-url", "redis://h/0?foo=bar")
    assert said.startswith("rq-exporter: RQ_REDIS_URL is a URL that redis-py refuses (unexpected keyword")
