"""What pyproject.toml can't say: a wheel has copies of the files that programs of other people read."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_TOP = Path(__file__).parent
_FOLDERS = ("monitoring",)
_FILES = ("docker-compose.yml", "docker-compose-rq-monitor.yml", "docs/runbooks.md")


class BuildWithData(build_py):
    """Copies them into `rqmon/data`, where rqmon.resources finds them."""

    def run(self) -> None:
        """Build the modules, then copy; an editable installation reads the tree itself."""
        super().run()
        if self.editable_mode:
            return
        data = Path(self.build_lib) / "rqmon/data"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(parents=True)
        for name in _FOLDERS:
            # Tests of rules are for whoever changes them.
            shutil.copytree(_TOP / name, data / name, ignore=shutil.ignore_patterns("tests"))
        for name in _FILES:
            (data / name).parent.mkdir(exist_ok=True)
            shutil.copy(_TOP / name, data / name)


setup(cmdclass={"build_py": BuildWithData})
