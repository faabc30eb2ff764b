"""The commands as people run them."""

import os
import subprocess
import sys

from tests import ROOT


def manage(*args, **env):
    """Run manage.py as a person would, outside any folder with a .env."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *args],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def rqmon_cron(*args, code=0):
    done = manage("cron", *args)
    assert done.returncode == code, done.stderr
    return done.stdout
