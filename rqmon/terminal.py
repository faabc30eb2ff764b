"""Shows untrusted text on a terminal without letting it control the terminal."""

import contextlib
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

# Controls and escapes, lone surrogates, line separators, and formatting characters, which reorder text (bidi)
# or hide in it. Emoji and some scripts need the two joiners.
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
# The length of a text in a table or list. Its end is kept, since an error's end says what to do.
_SHOWN, _SHOWN_OF_END = 200, 60


def printable(text: str) -> str:
    r"""Make a text safe for a terminal: what would control the terminal is written as \x1b or the like."""
    return "".join(
        char.encode("unicode_escape", "backslashreplace").decode()
        if unicodedata.category(char) in _ESCAPED and char not in _JOINERS
        else char
        for char in text
    )


def shortened(text: str) -> str:
    """Shorten a text to 200 characters, for tables and lists; JSON has all of it."""
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN - _SHOWN_OF_END - 1]}…{text[-_SHOWN_OF_END:]}"


def printable_lines(text: str) -> str:
    """Do the same as `printable` for a text of several lines, keeping line breaks and tabs."""
    return "\n".join(
        "\t".join(printable(part) for part in line.removesuffix("\r").split("\t"))
        for line in text.split("\n")
    )


def pass_on(command: Sequence[str], **options: Any) -> None:
    """Run a command until it ends or is interrupted, and print its lines, made safe for a terminal.

    Args:
        command: The command.
        options: Further arguments of `subprocess.Popen`.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        subprocess.Popen(  # noqa: S603 (the callers' words)
            command, stdout=subprocess.PIPE, text=True, errors="replace", **options
        ) as running,
    ):
        try:
            for line in running.stdout or ():
                sys.stdout.write(printable_lines(line))
                sys.stdout.flush()
        finally:
            running.terminate()  # nobody reads its output any more


def say(line: str, *, err: bool = False) -> None:
    """Print one line, whose parts may be untrusted."""
    print(printable(line), file=sys.stderr if err else sys.stdout)
