import subprocess
import sys

import pytest

from rqmon.terminal import pass_on, printable, printable_lines, shortened


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 [bold]", "plain é 日本 [bold]"),
        ("\x1b]0;PWNED\x07\x1b[2J", "\\x1b]0;PWNED\\x07\\x1b[2J"),
        ("\x9b31m\x7f\r\n\t\x00", "\\x9b31m\\x7f\\r\\n\\t\\x00"),
        ("a\u202eb\u2066c\u200f", "a\\u202eb\\u2066c\\u200f"),
        ("\u2028\u2029\ufeff\U000e0041", "\\u2028\\u2029\\ufeff\\U000e0041"),
        ("half \ud83d, byte \udcff", "half \\ud83d, byte \\udcff"),
        ("👩\u200d👧 a\u200cb", "👩\u200d👧 a\u200cb"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_instead(text, shown):
    assert printable(text) == shown


def test_a_text_of_lines_keeps_its_breaks():
    assert printable_lines("one\r\n\ttwo \x1b[1m\n") == "one\n\ttwo \\x1b[1m\n"


@pytest.mark.parametrize("length", [0, 199, 200])
def test_a_short_text_is_shown_whole(length):
    assert shortened("x" * length) == "x" * length


def test_of_a_long_text_both_ends_are_shown():
    shown = shortened("start" + "x" * 100_000 + "end")
    assert len(shown) == 200
    assert shown.startswith("startx")
    assert shown.endswith("xend")
    assert "x…x" in shown


def test_what_a_command_prints_is_passed_on_as_a_terminal_may_have_it(capfd):
    pass_on([sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'a\x1b[2J\n\xff\n')"])
    assert capfd.readouterr().out == "a\\x1b[2J\n\ufffd\n"


def test_a_command_ends_when_nobody_reads_what_is_passed_on():
    forever = "import time, sys\nprint('one', flush=True)\ntime.sleep(1000)"
    code = f"import sys; from rqmon.terminal import pass_on; pass_on([sys.executable, '-c', {forever!r}])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as running:
        assert running.stdout.readline() == b"one\n"
        running.send_signal(2)
        assert running.wait(timeout=20) == 0
