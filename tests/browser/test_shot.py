"""`rqmon dashboards shot` with a real preview and Chromium; if something is missing, one line says so."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser.conftest import ROOT, need
from tests.servers import free_port

pytestmark = pytest.mark.browser
RQMON = "from rqmon.cli.main import main; main(prog_name='rqmon')"


def shot(*arguments: str, code: str = RQMON, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": os.environ["PATH"] if path is None else path}
    command = [sys.executable, "-c", code, "dashboards", "shot", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


def size(file: Path) -> tuple[int, int]:
    head = file.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", head[16:])
    return width, height


@pytest.mark.parametrize(("options", "width"), [((), 1280), (("--width", "900"), 900)])
def test_a_picture_of_the_whole_dashboard(
    options: tuple[str, ...], width: int, preview: str, tmp_path: Path
) -> None:
    need(("chromium", "chromium-browser", "google-chrome"), "chromium")
    file = tmp_path / "out.png"
    done = shot("every-panel", str(file), "--url", f"{preview}/", *options)
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"Wrote {file}, from {preview}/d/every-panel.\n",
        "",
    )
    assert size(file)[0] == width
    assert size(file)[1] > 800
    assert file.stat().st_size > 30_000  # a page of empty boxes has 10,000


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    return line


def test_what_is_missing_is_one_line_and_exit_code_2(preview: str, tmp_path: Path) -> None:
    file = str(tmp_path / "out.png")
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert refused(shot("every-panel", file, "--url", nowhere)) == (
        f"rqmon: No preview answers at {nowhere}: run make start-rq-mon, or give its --url"
    )
    assert refused(shot("no-such", file, "--url", preview)) == (
        f"rqmon: The preview at {preview} has no dashboard 'no-such': {preview}/ lists them"
    )
    assert refused(shot("every-panel", file, "--url", "http://[")).startswith("rqmon: No preview answers")
    assert refused(shot("every-panel", file, "--url", preview, path=str(tmp_path))) == (
        "rqmon: Chromium is not installed: install the system's package chromium"
    )
    without = f"import sys; sys.modules['playwright.sync_api'] = None; {RQMON}"
    assert refused(shot("every-panel", file, "--url", preview, code=without)) == (
        "rqmon: playwright is not installed: pip install playwright"
    )
    assert not Path(file).exists()
