"""The rqmon commands under the names that Data Hub's `manage.py` gave them."""

import sys

from rqmon.cli.main import main

COMMANDS = {"test_rq": "test-rq", "purge_queue": "purge-queue", "rq_health_check": "health-check"}

if __name__ == "__main__":
    command, *rest = sys.argv[1:] or ["--help"]
    main([COMMANDS.get(command, command), *rest], prog_name="manage.py")
