"""A stop that comes while Python is in a destructor, which ignores what a signal's handler raises there."""

import signal
import subprocess
import sys

import httpx
import pytest

from tests import ROOT
from tests.servers import free_port, wait_for

_DESTROYED = """
import os, signal
class Destroyed:
    def __del__(self):
        os.kill(os.getpid(), {number})
"""
_SERVER = """
from rqmon.web.serving import serve
def answer(environ, start_response):
    start_response("200 OK", [])
    return [b"here"]
def destroy(*_):
    Destroyed()
signal.signal(signal.SIGALRM, destroy)
serve(answer, name="test", host="127.0.0.1", port={port}, threads=1)
"""
_STACK = """
from dashboards.verify import own_stack
own_stack.COMMAND = ("true",)
with own_stack.own_stack() as stack:
    print(stack.folder)
    Destroyed()
    signal.pause()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_stops(number):
    port = free_port()
    code = (_DESTROYED + _SERVER).format(number=int(number), port=port)
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(port), what="it answers")
        server.send_signal(signal.SIGALRM)
        assert server.wait(timeout=20) == 0
    finally:
        server.kill()
        server.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_of_a_test_s_own_is_stopped(number, tmp_path):
    code = (_DESTROYED + _STACK).format(number=int(number))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        folder, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert folder.startswith(str(tmp_path))
    assert process.returncode == -signal.SIGINT
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert list(tmp_path.iterdir()) == []


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).text == "here"
    except httpx.HTTPError:
        return False
