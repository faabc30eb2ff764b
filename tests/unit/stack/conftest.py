"""A stack configuration that nothing else uses."""

import pytest

from rqmon.ports import DEFAULT_PORTS, free_ports
from rqmon.stack.environment import StackConfig, complete_env_file


@pytest.fixture
def config(tmp_path):
    env_file = tmp_path / ".env"
    ports = zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS)), strict=True)
    env_file.write_text("".join(f"{name}={port}\n" for name, port in ports))
    complete_env_file(env_file)
    config = StackConfig.from_env({"RQMON_ENV_FILE": str(env_file), "RQMON_STATE_DIR": str(tmp_path / "s")})
    config.state_dir.mkdir()
    return config
