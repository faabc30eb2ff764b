import subprocess

import pytest

from rqmon.stack import compose
from rqmon.stack.environment import StackConfig
from rqmon.stack.services import StackError


@pytest.mark.parametrize("closed", ["redis/redis.conf", "prometheus/alerts"])
def test_a_file_that_containers_cant_read_is_refused_before_anything_starts(tmp_path, monkeypatch, closed):
    for name in ("redis/redis.conf", "prometheus/alerts/exporter.yml", "grafana/grafana.ini"):
        path = tmp_path / "monitoring" / name
        path.parent.mkdir(parents=True)
        path.touch()
    subprocess.run(["chmod", "-R", "u=rwX,go=rX", tmp_path / "monitoring"], check=True)
    monkeypatch.setattr(compose, "data", tmp_path.joinpath)
    stack = compose.ComposeStack(
        StackConfig(state_dir=tmp_path / "state", env_file=tmp_path / ".env", variables={})
    )

    (tmp_path / "monitoring" / closed).chmod(0o700)
    with pytest.raises(StackError, match=f"Containers can't read .*{closed} .*: run chmod -R") as refused:
        stack.launch()
    assert not (tmp_path / "state").exists()

    subprocess.run(str(refused.value).split(": run ")[1], shell=True, check=True)
    with pytest.raises(KeyError):  # it has no passwords
        stack.launch()
