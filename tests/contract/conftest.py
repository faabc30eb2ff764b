"""What the contract tests share: without Node, one line that says what was left out."""

from shutil import which

HAS_NODE = bool(which("node") and which("npm"))


def pytest_collection_modifyitems(items):
    if not HAS_NODE:
        items[:] = [item for item in items if "node_modules" not in getattr(item, "fixturenames", ())]


def pytest_terminal_summary(terminalreporter):
    if not HAS_NODE:
        left_out = "Grafana's types in tests/contract/test_dashboards_types.py"
        terminalreporter.write_line(f"Left out: {left_out}, as Node or npm is not on PATH.")
