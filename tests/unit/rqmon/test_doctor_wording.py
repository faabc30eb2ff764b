import base64
import zlib

import pytest

from rqmon.doctor.phrases import counted, listed, span
from rqmon.doctor.remedies import quoted, requeue, start_worker
from rqmon.doctor.tracebacks import class_of, compressed_start, last_line, stored_exception

TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    raise E\n'


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        (f"{TRACE}ValueError: spanner in the works\n", "ValueError: spanner in the works", "ValueError"),
        (f"{TRACE}app.errors.Odd: one\ntwo: three\n", "app.errors.Odd: one", "Odd"),
        (f"{TRACE}KeyError: 1\n\nDuring handling ...\n\n{TRACE}OSError\n", "OSError", "OSError"),
        ("Work-horse terminated unexpectedly; waitpid returned 9 (signal 9); ", None, "killed"),
        ("Job stopped by user, work-horse terminated.", None, "stopped"),
        ("Job was stuck in intermediate queue.", None, "lost before its start"),
        ("Moved to FailedJobRegistry, due to AbandonedJobError, at 2026-01-01", None, "AbandonedJobError"),
        ("what somebody's own handler wrote", None, "unknown"),
        ("", "", "unknown"),
    ],
)
def test_an_exception_is_named(text, line, name):
    assert class_of(text) == name
    assert last_line(text) == (text.strip() if line is None else line)


def test_an_exception_is_read_as_each_version_of_rq_stores_it():
    packed = zlib.compress(b"ValueError: one")
    assert stored_exception({b"exc_string": base64.b64encode(packed)}, None) == "ValueError: one"
    assert stored_exception(None, packed) == "ValueError: one"
    assert stored_exception({}, b"ValueError: \xff") == "ValueError: \\xff"
    assert stored_exception({b"exc_string": b"no base64!"}, None) == ""
    assert stored_exception(None, None) == ""


def test_what_unpacks_without_end_is_cut():
    bomb = zlib.compress(bytes(50_000_000))
    assert len(stored_exception(None, bomb)) < 10_000_000
    assert compressed_start(zlib.compress(b"\x80abc")) == b"\x80"
    assert compressed_start(b"[1]") == b"["


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (0.4, "0 s"), (90, "90 s"), (120, "2 min"), (7_200, "2 h"), (2e5, "2 d")],
)
def test_a_span_is_short(seconds, said):
    assert span(seconds) == said


def test_lists_are_short():
    assert (listed([]), listed(["a"]), listed(["a", "b"]), listed(list("abc"))) == (
        "",
        "a",
        "a and b",
        "a, b and c",
    )
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
    assert len(listed(["x" * 1_000])) == 200
    assert (counted(1, "entry"), counted(2, "entry"), counted(1_234, "job")) == (
        "1 entry",
        "2 entries",
        "1,234 jobs",
    )


def test_what_others_wrote_is_a_word_of_the_shell():
    assert quoted("a b", "$(c)") == "'a b' '$(c)'"
    assert quoted("-rf") == "-- -rf"
    assert start_worker("q; rm", has_stack=True) == ".venv/bin/rqmon worker 'q; rm'"
    assert start_worker(*map(str, range(1_000)), has_stack=False).endswith(" 18 19")
    assert requeue("q", "-1", serializer="json") == ".venv/bin/rq requeue --serializer json --queue=q -- -1"
    assert requeue("-q", serializer="pickle") == ".venv/bin/rq requeue --queue=-q --all"
