"""The two compose files, merged as `rqmon start` merges them."""

import re

import pytest
import yaml

from rqmon.ports import DEFAULT_PORTS
from rqmon.stack.environment import complete_env_file
from rqmon.stack.services import EVERY, WITH_GRAFANA, WITH_PREVIEW
from tests import ROOT

CORE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
MONITOR = yaml.safe_load((ROOT / "docker-compose-rq-monitor.yml").read_text())["services"]
SERVICES = {**CORE, **MONITOR}
OURS = ("rq_short", "rq_long", "rq_sched", "rq_exporter", "rq_dashboard", "doors", "alert_log", "preview")
# Services that don't check Host and Origin themselves.
BEHIND_DOORS = {"prometheus": 9090, "alertmanager": 9093}
each_service = pytest.mark.parametrize("name", [name for name in SERVICES if name != "demo"])  # it ends


def test_the_files_hold_the_services_that_the_commands_know():
    assert set(CORE) == {"redis", "rq_short", "rq_long", "rq_sched", "rq_exporter", "demo"}
    watching = {"rq_dashboard", "doors", "prometheus", "alertmanager", "alert_log", "grafana", "preview"}
    assert set(MONITOR) == watching
    started = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert {service.name for service in WITH_GRAFANA} == started
    assert {service.name for service in WITH_PREVIEW} == started - {"grafana"} | {"preview"}


@pytest.mark.parametrize("service", EVERY, ids=lambda service: service.name)
def test_a_service_is_run_asked_and_stopped_as_its_record_says(service):
    given = SERVICES[service.name]
    command = given.get("command", [])
    assert tuple(command[: len(service.command)]) == service.command
    assert set(service.options) <= set(command)
    assert given.get("stop_grace_period", "10s") == f"{service.stop_seconds}s"
    asked = " ".join(given["healthcheck"]["test"])
    if service.health_path:
        assert re.search(rf"http://127\.0\.0\.1:\d+{re.escape(service.health_path)}\b", asked)
    if service.queue:
        assert asked.endswith(f"--queue {service.queue}")


def test_a_port_is_the_same_by_default_in_every_file():
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "docker-compose-rq-monitor.yml").read_text()
    found = {(name, int(port)) for name, port in re.findall(r"\$\{(\w+_PORT):-(\d+)\}", text)}
    assert found == set(DEFAULT_PORTS.items())


@each_service
def test_images_are_pinned_to_a_version_or_built_here(name):
    service = SERVICES[name]
    if name in OURS:
        assert service["build"] == {"context": ".", "args": {"LOCK": "${RQMON_LOCK:-stack}"}}
        assert service["image"].endswith(":local")
    else:
        assert "build" not in service
        assert re.fullmatch(r"[a-z/]+:\$\{[A-Z]+_VERSION:-v?\d+\.\d+\.\d+(-[a-z]+)?\}", service["image"])


@each_service
def test_health_is_checked_and_crashes_are_survived(name):
    health = SERVICES[name]["healthcheck"]
    assert health["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(health)
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["init"] is True


@each_service
def test_ports_are_published_on_loopback_under_their_variable(name):
    variables = {service.name: service.port_variable for service in (*WITH_GRAFANA, *WITH_PREVIEW)}
    published = list(BEHIND_DOORS) if name == "doors" else [name] if name not in BEHIND_DOORS else []
    ports = SERVICES[name].get("ports", [])
    assert len(ports) == sum(variables[other] is not None for other in published)
    for other, port in zip(published, ports, strict=bool(ports)):
        assert re.fullmatch(rf"127\.0\.0\.1:\$\{{{variables[other]}:-\d+\}}:\d+", port)


@pytest.mark.parametrize("name", BEHIND_DOORS)
def test_prometheus_and_alertmanager_are_asked_at_their_doors_only(name):
    port, service = BEHIND_DOORS[name], SERVICES[name]
    assert f"{port}=http://{name}:{port}" in SERVICES["doors"]["command"]
    # Whoever finds their addresses in the containers' network needs the doors' password.
    assert "--web.config.file=/run/secrets/web.yml" in service["command"]
    assert {"web.yml", "door_header"} <= set(service["secrets"])
    assert "$$(cat /run/secrets/door_header)" in service["healthcheck"]["test"][-1]
    (target,) = yaml.safe_load((ROOT / f"monitoring/prometheus/targets/{name}.yml").read_text())
    assert target["targets"] == [f"doors:{port}"]
    text = (ROOT / "docker-compose-rq-monitor.yml").read_text()
    assert len(re.findall(rf"http://{name}:{port}", text)) == 1, "something else asks it directly"


def test_the_previews_links_lead_to_the_published_rq_dashboard():
    published = SERVICES["rq_dashboard"]["ports"][0].removesuffix(":9181")
    assert SERVICES["preview"]["environment"]["RQ_DASHBOARD_URL"] == f"http://{published}"


@each_service
def test_what_a_service_needs_is_healthy_first(name):
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        assert how == {"condition": "service_healthy"}
    if name in OURS and name not in ("doors", "alert_log", "preview"):
        assert "redis" in SERVICES[name]["depends_on"]


@each_service
def test_no_container_gains_privileges(name):
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service["pids_limit"]
    assert service["mem_limit"]
    # Grafana's image was never available to try it with.
    assert service.get("read_only") is (None if name == "grafana" else True)
    assert "privileged" not in service
    assert service.get("user") != "root"


@each_service
def test_no_secret_is_on_a_command_line(name):
    service = SERVICES[name]
    for words in (service.get("command", []), service["healthcheck"]["test"]):
        # "$$" leaves the variable to the container's shell, which passes it on standard input.
        assert not re.search(r"(?<!\$)\$\{\w*PASSWORD", " ".join(words))
    assert "--requirepass" not in service.get("command", [])


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_an_environment_variable(name):
    # docker inspect would show it; a file's name is not a secret.
    for variable, value in SERVICES[name].get("environment", {}).items():
        assert "PASSWORD" not in str(value), variable
        assert "PASSWORD" not in variable or variable.endswith("__FILE")


def test_env_gives_every_variable_that_the_files_read(tmp_path):
    env_file = tmp_path / ".env"
    names = set(complete_env_file(env_file))
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "docker-compose-rq-monitor.yml").read_text()
    read = set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    endings = "VERSION|LIMIT|DIR|MAXMEMORY|WORKERS|HOSTS|LOCK|PREFIX|RUNBOOK_URL"
    optional = set(re.findall(rf"\$\{{(\w+_(?:{endings})):-", text))
    assert read - optional
    assert read - optional <= names


def test_data_is_on_named_volumes():
    for name in ("redis", "prometheus", "alertmanager", "grafana"):
        assert any(volume.startswith(f"{name}:/") for volume in SERVICES[name]["volumes"])


def test_the_image_runs_as_a_user_and_installs_by_hash():
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert dockerfile.rstrip().splitlines()[-1] == "USER rqmon"
    assert "--require-hashes" in dockerfile
    assert not dockerfile.startswith("# syntax=")
    assert "**/.*" in (ROOT / ".dockerignore").read_text().splitlines(), ".env would be in the image"


def test_our_image_is_built_on_a_pinned_one():
    bases = [
        line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")
    ]
    assert bases
    assert all(re.search(r":\d+\.\d+\.\d+", base) for base in bases), bases
