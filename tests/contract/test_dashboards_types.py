"""The committed dashboards match Grafana's own TypeScript types, down to each panel's options."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dashboards.paths import DASHBOARDS, ROOT

TYPES = Path(__file__).parent / "grafana_schema"
PACKAGES = (TYPES / "package.json").read_text(encoding="utf-8")
FILES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / DASHBOARDS).glob("*.json"))}
# One for each kind of panel, and one for what all of them have.
SPOILT = {
    '"namePlacement"': '"namePlacment"',
    '"segmentCount": 1': '"segmentCount": "1"',
    '"scale": "exponential"': '"scale": "log"',
    '"colorMode": "value"': '"colorMode": "valeu"',
    '"rowHeight"': '"rowHeigth"',
    '"cellHeight": "sm"': '"cellHeight": "small"',
    '"lineWidth": 2': '"lineWidth": "2"',
    '"placement"': '"placment"',
    '"id": "custom.cellOptions"': '"id": "custom.cellOption"',
    '"legendFormat"': '"legendFormt"',
    '"refresh": "10s"': '"refesh": "10s"',
}


@pytest.fixture(scope="module")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """Install the packages of package.json, kept in pytest's cache until package.json changes."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("Node or npm is not on PATH")
    folder = pytestconfig.cache.mkdir("grafana_schema")
    installed = folder / "installed.json"
    if not installed.exists() or installed.read_text(encoding="utf-8") != PACKAGES:
        shutil.rmtree(folder)
        folder.mkdir()
        shutil.copy(TYPES / "package.json", folder)
        install = ["npm", "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
        npm = subprocess.run(install, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        if npm.returncode:
            said = [line.removeprefix("npm error ") for line in npm.stderr.splitlines()]
            pytest.fail(f"npm install failed: {', '.join(said[:2])}", pytrace=False)
        installed.write_text(PACKAGES, encoding="utf-8")
    return folder / "node_modules"


def _type_check(dashboards: dict[str, str], node_modules: Path, folder: Path) -> list[str]:
    """Return the compiler's output for the dashboards; its name.ts(8,5) is line 8 of name.json."""
    shutil.copytree(TYPES, folder, dirs_exist_ok=True)
    (folder / "node_modules").symlink_to(node_modules)
    for name, model in dashboards.items():
        source = f'import type {{ Dashboard }} from "./dashboard"; export const model: Dashboard = {model}'
        (folder / f"{name}.ts").write_text(source, encoding="utf-8")
    tsc = ["node", "node_modules/typescript/bin/tsc", "--pretty", "false"]
    done = subprocess.run(tsc, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    said = (done.stdout + done.stderr).splitlines()
    assert bool(said) == bool(done.returncode), done
    return said


def test_the_types_are_those_of_the_grafana_that_the_stack_starts() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose-rq-monitor.yml").read_text(encoding="utf-8"))
    version = json.loads(PACKAGES)["dependencies"]["@grafana/schema"]
    assert compose["services"]["grafana"]["image"] == f"grafana/grafana:${{GRAFANA_VERSION:-{version}}}"


def test_the_types_allow_every_dashboard(node_modules: Path, tmp_path: Path) -> None:
    assert FILES
    assert _type_check(FILES, node_modules, tmp_path) == []


def test_the_compiler_names_what_is_misspelt_or_of_another_type(node_modules: Path, tmp_path: Path) -> None:
    spoilt = {
        f"spoilt{number}": next(text for text in FILES.values() if right in text).replace(right, wrong, 1)
        for number, (right, wrong) in enumerate(SPOILT.items())
    }
    said = "\n".join(_type_check(spoilt, node_modules, tmp_path))
    named = {
        name: spoilt[name].splitlines()[int(line) - 1]
        for name, line in re.findall(r"^(\w+)\.ts\((\d+),", said, re.MULTILINE)
    }
    for name, wrong in zip(spoilt, SPOILT.values(), strict=True):
        assert wrong in named.get(name, ""), said
    assert "'\"placment\"' does not exist" in said
