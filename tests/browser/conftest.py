"""Real Chromium, a real Prometheus that scrapes known values, and the preview itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from tests import ROOT
from tests.servers import free_port, wait_for

DATA = Path(__file__).parent / "data"
HOSTILE_QUEUE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
JOBS = {"alpha": 3.0, "beta": 5.0, HOSTILE_QUEUE: 7.0}
EXACT = 41.125
RQ_DASHBOARD = "http://127.0.0.1:1"  # nothing listens there
FOREIGN_NAME = "evil.example"  # points to this machine, as an attacker's own name may
CHROMIUM_ARGS = [
    f"--host-resolver-rules=MAP {FOREIGN_NAME} 127.0.0.1",
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]

# For a page of thirty panels, next to other work on two cores; Playwright's default is five seconds.
expect.set_options(timeout=60_000)


def need(names: tuple[str, ...], package: str) -> str:
    """Return the path of the first program found; if there is none, skip, or fail under CI."""
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        reason = f"none of {', '.join(names)} is on PATH; install the system's {package} package"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class KnownMetrics(Collector):
    """Constant gauges, and counters that grow by the same amount at every scrape."""

    def __init__(self) -> None:
        self._scrapes = 0

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily | HistogramMetricFamily]:
        self._scrapes += 1
        jobs = GaugeMetricFamily("demo_jobs", "Jobs.", labels=["queue"])
        ended = CounterMetricFamily("demo_ended", "Jobs that ended.", labels=["queue"])
        for queue, count in JOBS.items():
            jobs.add_metric([queue], count)
            ended.add_metric([queue], self._scrapes * count)
        state = GaugeMetricFamily("demo_state", "0 idle, 1 busy.", labels=["worker"])
        state.add_metric(["worker-1"], 0)
        state.add_metric(["worker-2"], self._scrapes // 5 % 2)
        buckets = [("0.1", 2.0), ("1", 6.0), ("10", 7.0), ("+Inf", 7.0)]
        run = HistogramMetricFamily("demo_run_seconds", "Run time.")
        run.add_metric([], [(le, n * self._scrapes) for le, n in buckets], sum_value=1.0 * self._scrapes)
        yield from (jobs, ended, state, run)
        yield GaugeMetricFamily("demo_exact", "A number.", value=EXACT)
        yield GaugeMetricFamily("demo_busy_ratio", "Busy share.", value=0.62)


class PrometheusServer:
    """A Prometheus on a free port that can be stopped and started again."""

    def __init__(self, folder: Path, *, binary: str, target_port: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = folder / "prometheus.yml"
        config.write_text(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: demo\n"
            f"    static_configs:\n      - targets: ['127.0.0.1:{target_port}']\n"
        )
        self._command = [
            binary,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        # Graphs end at a round time, up to 5 seconds ago.
        rates = "rate(demo_ended_total[1m] offset 5s)"
        wait_for(lambda: len(self.query(rates)) == len(JOBS), what="Prometheus has rates")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=20)
            self._process = None

    def suspend(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def query(self, expr: str) -> list[float]:
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        with urllib.request.urlopen(url, timeout=5) as response:
            return [float(item["value"][1]) for item in json.load(response)["data"]["result"]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = need(("chromium", "chromium-browser", "google-chrome"), "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    binary = need(("prometheus",), "prometheus")
    registry = CollectorRegistry()
    registry.register(KnownMetrics())
    port = free_port()
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    prometheus = PrometheusServer(tmp_path_factory.mktemp("prometheus"), binary=binary, target_port=port)
    try:
        prometheus.start()
        yield prometheus
    finally:
        prometheus.stop()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def running_preview(prometheus_url: str) -> Iterator[str]:
    """The address of a preview of tests/browser/data, whether or not Prometheus answers."""
    port = free_port()
    command = [sys.executable, "-m", "rqmon.preview", "--port", str(port)]
    command += ["--prometheus-url", prometheus_url, "--dashboards", str(DATA)]
    command += ["--rq-dashboard-url", RQ_DASHBOARD]
    # NiceGUI serves nothing if it sees pytest's variable.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)

    try:
        wait_for(answers, what="the preview answers")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def preview(prometheus: PrometheusServer) -> Iterator[str]:
    """The address of a preview that draws the data of `prometheus`."""
    with running_preview(prometheus.url) as url:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as response:
            assert json.load(response) == {"status": "ok", "prometheus": "up"}
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page at 1280x800; a script error on it fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []
