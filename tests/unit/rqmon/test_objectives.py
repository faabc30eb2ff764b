"""monitoring/objectives.toml: the default, what a queue has instead, and what is refused."""

import pytest

from dashboards import __main__, export
from rqmon import objectives
from rqmon.objectives import Objective
from rqmon.thresholds import FAST_BURN
from scheduler.errors import ConfigError

DEFAULT = "[default]\nwait_seconds = 30\nwait_share = 0.99\nerror_share = 0.02\n"


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "objectives.toml"
        path.write_text(text)
        return objectives.read(path)

    return read


def test_a_queue_that_is_not_named_has_the_default(read):
    promised = read(DEFAULT).of("somebody's own")
    assert promised == Objective(wait_seconds=30, wait_share=0.99, error_share=0.02)
    assert promised.late_share == 0.01


def test_a_section_changes_what_it_names_and_leaves_the_rest(read):
    promised = read(DEFAULT + '[queue."a.b c"]\nwait_seconds = 300\n')
    assert promised.of("a.b c") == Objective(wait_seconds=300, wait_share=0.99, error_share=0.02)
    assert promised.of("a") == promised.default


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no [default]"),
        ("[default]\nwait_seconds = 30\n", "[default] in"),
        ("default = 3\n", "no [default]"),
        (DEFAULT + "[queue.q]\nwait = 3\n", "[queue.q] in"),
        (DEFAULT + "[queues.q]\nwait_seconds = 3\n", "has queues"),
        (DEFAULT + "[queue]\nq = 3\n", "no [queue.q]"),
        (DEFAULT.replace("[default]", "queue = 3\n[default]"), "queue in"),
        (DEFAULT + "[queue.q]\nwait_seconds = 0\n", "wait_seconds of [queue.q]"),
        (DEFAULT + "[queue.q]\nwait_share = 1\n", "wait_share of [queue.q]"),
        (DEFAULT + "[queue.q]\nerror_share = true\n", "error_share of [queue.q]"),
        (DEFAULT + "[queue.q]\nwait_seconds = nan\n", "wait_seconds of [queue.q]"),
        ("[default", "no TOML"),
    ],
)
def test_what_can_t_be_an_objective_is_refused_by_name(read, text, says):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert says in str(error.value)


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"objectives\.toml can't be read"):
        objectives.read(tmp_path / "objectives.toml")


@pytest.mark.parametrize(
    ("name", "value", "use"),
    [
        ("error_share", 0.07, "at most 0.069"),
        ("error_share", 0.5, "at most 0.069"),
        ("wait_share", 0.93, "at least 0.931"),
        ("wait_share", 0.2, "at least 0.931"),
    ],
)
def test_what_no_burn_could_exceed_is_refused_with_what_to_use(read, name, value, use):
    with pytest.raises(ConfigError, match=rf"{name} of \[queue\.q\].* is {value}: use {use}, or"):
        read(f"{DEFAULT}[queue.q]\n{name} = {value}\n")


@pytest.mark.parametrize("text", ["error_share = 0.069", "wait_share = 0.931"])
def test_of_what_is_taken_the_critical_alert_fires_when_all_jobs_break_it(read, text):
    promised = read(f"{DEFAULT}[queue.q]\n{text}\n").of("q")
    assert 1 / max(promised.late_share, promised.error_share) > FAST_BURN


@pytest.mark.parametrize(("main", "arguments"), [(__main__.main, ["--check"]), (export.main, ["out"])])
def test_the_generators_say_in_one_line_what_is_wrong_with_it(main, arguments, monkeypatch, capsys, tmp_path):
    (tmp_path / "objectives.toml").write_text(f"{DEFAULT}[queue.q]\nerror_share = 0.5\n")
    monkeypatch.setattr(objectives, "data", lambda _name: tmp_path / "objectives.toml")
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
