"""Other copies of the default ports: in packages and files that can't ask rqmon.ports."""

import ast
import json
import re

from rq_exporter import config

from rqmon.guarded_rq_dashboard.settings import DashboardSettings
from rqmon.ports import DEFAULT_PORTS
from scheduler.config import DEFAULT_REDIS_URL
from tests import ROOT

DASHBOARDS = ROOT / "monitoring/grafana/dashboards"


def test_the_exporters_is_that_of_rq_exporter():
    assert DEFAULT_PORTS["RQ_EXPORTER_PORT"] == int(config.DEFAULT_PORT)


def test_the_rq_dashboards_is_the_dashboards_link():
    port = DEFAULT_PORTS["RQ_DASHBOARD_PORT"]
    assert DashboardSettings.from_env({"RQ_DASHBOARD_PASSWORD": "x"}).port == port
    urls = {
        variable["query"]
        for path in DASHBOARDS.glob("*.json")
        for variable in json.loads(path.read_text())["templating"]["list"]
        if variable["name"] == "rq_dashboard"
    }
    assert urls == {f"http://127.0.0.1:{port}"}


def test_programs_ask_for_the_default_ports():
    written = re.compile(rf"\b({'|'.join(map(str, DEFAULT_PORTS.values()))})\b")
    code = {
        (path.relative_to(ROOT).as_posix(), node.value)
        for package in ("rqmon", "dashboards")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and written.search(str(node.value)) and " " not in str(node.value)
    }
    assert {name for name, _ in code} == {"rqmon/ports.py"}, code


def test_redis_is_where_the_core_looks_for_it():
    assert f":{DEFAULT_PORTS['REDIS_PORT']}/" in DEFAULT_REDIS_URL


def test_alerts_lead_to_grafanas_and_to_the_runbooks():
    alerts = [path.read_text() for path in (ROOT / "monitoring/prometheus/alerts").glob("*.yml")]
    assert alerts
    for port in ("GRAFANA_PORT", "ALERT_LOG_PORT"):
        assert all(f"http://127.0.0.1:{DEFAULT_PORTS[port]}" in text for text in alerts)
