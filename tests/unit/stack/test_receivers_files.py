"""Where each mode's Alertmanager finds whom to tell."""

import json

from rqmon.stack import compose
from rqmon.stack.environment import StackConfig, complete_env_file
from rqmon.stack.native.commands import environment
from rqmon.stack.native.files import write_files


def test_receivers_are_files_that_nobody_else_reads_in_both_modes(tmp_path):
    path, slack = tmp_path / ".env", "https://hooks.example.org/secret"
    complete_env_file(path, {"RQMON_ALERT_SLACK_WEBHOOK_URL": slack})
    config = StackConfig.from_env({"RQMON_ENV_FILE": str(path), "RQMON_STATE_DIR": str(tmp_path / "s")})
    config.check()
    write_files(config)
    compose.write_secrets(config)
    for file, mode in (("alertmanager.yml", 0o600), ("secrets/alertmanager.yml", 0o644)):
        written = tmp_path / "s" / file
        assert written.stat().st_mode & 0o777 == mode
        [default] = [it for it in json.loads(written.read_text())["receivers"] if it["name"] == "default"]
        assert default["slack_configs"][0]["api_url"] == slack
    assert (tmp_path / "s/secrets").stat().st_mode & 0o777 == 0o700
    assert slack not in str(environment(config, {})), "a job could read it"


def test_without_receivers_the_log_of_each_mode_is_told(tmp_path):
    path = tmp_path / ".env"
    path.write_text("ALERT_LOG_PORT=7095\n")
    complete_env_file(path)
    config = StackConfig.from_env({"RQMON_ENV_FILE": str(path), "RQMON_STATE_DIR": str(tmp_path / "s")})
    write_files(config)
    compose.write_secrets(config)
    for file, url in (
        ("alertmanager.yml", "http://127.0.0.1:7095/notifications"),
        ("secrets/alertmanager.yml", "http://alert_log:9095/notifications"),
    ):
        receivers = json.loads((tmp_path / "s" / file).read_text())["receivers"]
        assert [it["webhook_configs"][0]["url"] for it in receivers if "webhook_configs" in it] == [url, url]
