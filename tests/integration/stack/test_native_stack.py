"""The real stack without Docker, on free ports next to any other: started, used, broken and stopped."""

import re

import httpx
import psutil
import pytest

from rqmon.stack.native.supervisor import Supervisor
from rqmon.stack.services import WITH_GRAFANA
from tests.servers import command_lines, wait_for
from tests.stack import MISSING, PORTS, Stack

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]


def processes(stack: Stack) -> list[psutil.Process]:
    return Supervisor(stack.config).processes()


def connections(process: psutil.Process) -> list:
    try:
        return process.net_connections("tcp")
    except psutil.NoSuchProcess:  # the process, for example a job's, has ended meanwhile
        return []


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    # Characters with a meaning in configuration files and patterns, and a database other than the first.
    stack = Stack.new("native", tmp_path_factory.mktemp('a%b"c\\d e[f]*'))
    with stack.env_file.open("a") as file:
        file.write("""RQ_DASHBOARD_PASSWORD='a$b #"%(ENV_HOME)s@/é'\n""")
        file.write(
            "REDIS_PASSWORD=its-own\nRQ_REDIS_URL=redis://:${REDIS_PASSWORD}@127.0.0.1:${REDIS_PORT}/1\n"
        )
    try:
        stack.start()
        yield stack
    finally:
        stack.rqmon("stop")


def test_every_service_answers_where_the_table_says(stack):
    again = stack.rqmon("start")
    assert again.returncode == 0, again.stderr
    assert "Everything is running already." in again.stdout
    for name in PORTS:
        assert f"127.0.0.1:{stack.config.variables[PORTS[name]]}" in again.stdout
    assert "rq_jobs" in httpx.get(f"{stack.url('rq_exporter')}/metrics").text
    assert httpx.get(f"{stack.url('prometheus')}/-/ready").status_code == 200
    assert httpx.get(f"{stack.url('alertmanager')}/-/ready").status_code == 200
    assert httpx.get(stack.url("grafana"), follow_redirects=True).status_code == 200


def test_status_is_healthy_with_a_process_for_each(stack):
    status = stack.rqmon("status")
    assert status.returncode == 0, status.stdout
    pids = [int(pid) for pid in re.findall(r" healthy +(\d+) ", status.stdout)]
    assert len(pids) == len(WITH_GRAFANA)
    assert all(psutil.pid_exists(pid) for pid in pids)


def test_status_needs_no_record_but_the_ports(stack):
    record = stack.state_dir / "run.json"
    kept = record.read_text()
    record.write_text("")  # the disk was full
    try:
        assert stack.rqmon("status").returncode == 0
    finally:
        record.write_text(kept)
    kept = stack.env_file.read_text()
    stack.env_file.write_text(kept.replace("PROMETHEUS_PORT", "ANOTHER"))
    try:
        done = stack.rqmon("status")
    finally:
        stack.env_file.write_text(kept)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "has no PROMETHEUS_PORT: give it a value" in done.stderr


def test_everything_listens_on_loopback_only(stack):
    addresses = {
        connection.laddr.ip
        for process in processes(stack)
        for connection in connections(process)
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_the_rq_dashboard_wants_the_password_of_the_env_file(stack):
    variables = stack.config.variables
    login = (variables["RQ_DASHBOARD_USERNAME"], variables["RQ_DASHBOARD_PASSWORD"])
    assert httpx.get(stack.url("rq_dashboard")).status_code == 401
    assert httpx.get(stack.url("rq_dashboard"), auth=login).status_code == 200


@pytest.mark.parametrize("service", ["prometheus", "alertmanager"])
def test_pages_of_other_sites_are_turned_away(stack, service):
    door = f"{stack.url(service)}/-/ready"
    assert httpx.get(door, headers={"Host": "evil.example"}).status_code == 403
    assert httpx.get(door, headers={"Origin": "http://evil.example"}).status_code == 403


def test_nobody_gets_past_the_doors(stack):
    doors = {int(stack.config.variables[name]) for name in PORTS.values()}
    behind = {
        connection.laddr.port
        for process in processes(stack)
        for connection in connections(process)
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port not in doors
    }
    assert len(behind) == 2
    assert {httpx.get(f"http://127.0.0.1:{port}/metrics").status_code for port in behind} == {401}


def test_no_password_is_on_a_command_line_or_in_a_log(stack):
    secrets = [value for name, value in stack.config.variables.items() if name.endswith("PASSWORD")]
    assert len(secrets) == 3
    shown = command_lines(processes(stack))
    shown += [path.read_text(errors="replace") for path in (stack.state_dir / "logs").iterdir()]
    assert len(shown) > 10
    assert [secret for secret in secrets if any(secret in text for text in shown)] == []


def test_prometheus_sees_the_workers_that_redis_holds(stack):
    def all_up() -> bool:
        up = {sample["metric"]["instance"]: sample["value"][1] for sample in stack.query("up")}
        return up == {"rq-exporter": "1", "prometheus": "1", "alertmanager": "1"}

    wait_for(all_up, what="all targets are up")

    def as_many_workers() -> bool:
        with stack.redis() as redis:
            registered = redis.scard("rq:workers")
        (counted,) = stack.query("count(rq_workers)") or [{"value": [0, "0"]}]
        return registered == int(counted["value"][1]) == 2

    wait_for(as_many_workers, what="Prometheus counts the two workers")
    # Workers from before a restart, whose end it did not see, count for this long.
    flags = httpx.get(f"{stack.url('prometheus')}/api/v1/status/flags").json()["data"]
    assert flags["query.lookback-delta"] == "1m"


def test_logs_show_one_service_or_all(stack):
    one, all_of_them = stack.rqmon("logs", "rq_short"), stack.rqmon("logs")
    assert "Listening on short-running" in one.stdout
    assert "==> redis" not in one.stdout
    assert all(f"==> {name}" in all_of_them.stdout for name in ("redis", "prometheus", "alertmanager"))


def test_an_exporter_that_is_down_reaches_alertmanager_and_start_brings_it_back(stack):
    def alerts() -> list[dict]:
        found = httpx.get(f"{stack.url('alertmanager')}/api/v2/alerts").json()
        return [alert for alert in found if alert["labels"]["alertname"] == "RQExporterDown"]

    assert alerts() == []
    Supervisor(stack.config).stop("rq_exporter")
    wait_for(lambda: stack.rqmon("status").returncode == 1, what="status says that something is down")
    status = stack.rqmon("status")
    assert "Not healthy: rq_exporter." in status.stdout

    wait_for(lambda: len(alerts()) == 1, seconds=60, what="Alertmanager has the alert")
    (alert,) = alerts()
    assert alert["labels"]["severity"] == "critical"
    assert alert["labels"]["instance"] == "rq-exporter"
    runbook = httpx.URL(alert["annotations"]["runbook_url"])
    assert str(runbook).startswith(stack.url("alert_log"))
    assert f'id="{runbook.fragment}"' in httpx.get(runbook).text
    dashboards = f"http://127.0.0.1:{stack.config.variables['GRAFANA_PORT']}"
    assert alert["annotations"]["dashboard_url"] == f"{dashboards}/d/rq-dashboard"
    assert not {"dashboards", "runbooks"} & alert["labels"].keys()

    stack.start()
    assert httpx.get(f"{stack.url('rq_exporter')}/metrics").status_code == 200


def test_a_service_that_ends_again_and_again_is_not_healthy(stack):
    supervisor = Supervisor(stack.config)
    for _ in range(3):
        wait_for(lambda: supervisor.programs()["alertmanager"].state == "RUNNING", what="it runs")
        before = supervisor.programs()["alertmanager"].pid
        psutil.Process(before).kill()
        wait_for(lambda before=before: supervisor.programs()["alertmanager"].pid not in (0, before))
    looping = r"^alertmanager +restarting, 3 times since \d\d:\d\d:\d\d .* 3 +http"
    wait_for(lambda: re.search(looping, stack.rqmon("status").stdout, re.MULTILINE), what="status says so")
    assert stack.rqmon("status").returncode == 1


def test_changed_settings_need_a_stop_first(stack):
    kept = stack.env_file.read_text()
    stack.env_file.write_text(f"{kept}\nMORE=1\n")
    try:
        done = stack.rqmon("start")
    finally:
        stack.env_file.write_text(kept)
    assert done.returncode == 2
    assert "has changed since the stack was started: run make stop-rq-mon" in done.stderr


def test_stop_leaves_nothing_but_the_data(stack):
    with stack.redis() as redis:
        redis.set("kept", "over a restart")
        worker_pids = {int(redis.hget(key, "pid")) for key in redis.smembers("rq:workers")}
    stopped = stack.rqmon("stop")
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (
        0,
        "Stopped. The data is kept for the next start.",
    )
    assert processes(stack) == []
    assert not any(psutil.pid_exists(pid) for pid in worker_pids)
    assert stack.listening() == set()

    stack.start()
    with stack.redis() as redis:
        assert redis.get("kept") == "over a restart"


def test_a_killed_supervisord_leaves_orphans_that_stop_finds(stack):
    supervisord = psutil.Process(int((stack.state_dir / "supervisord.pid").read_text()))
    supervisord.kill()
    wait_for(lambda: not supervisord.is_running() or supervisord.status() == psutil.STATUS_ZOMBIE)
    assert len(processes(stack)) >= len(WITH_GRAFANA)

    assert stack.rqmon("stop").stdout.startswith("Stopped.")
    assert processes(stack) == []
    assert stack.listening() == set()
    assert stack.rqmon("stop").stdout == "Nothing was running.\n"
