"""Text of other people on a terminal: shown, never obeyed."""

import contextlib
import subprocess
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

# Controls and escapes, halves of characters, line separators, and formatting characters, which reorder
# what is read (bidi) or hide in it. Emoji and some scripts need the two joiners.
_ESCAPED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"
# Of a text in a table or a list; its end is kept too, as that of an error says what to do.
_SHOWN, _SHOWN_OF_END = 200, 60


def printable(text: str) -> str:
    r"""A text as a terminal may have it: what would steer the terminal is written as \x1b or the like."""
    return "".join(
        char.encode("unicode_escape", "backslashreplace").decode()
        if unicodedata.category(char) in _ESCAPED and char not in _JOINERS
        else char
        for char in text
    )


def shortened(text: str) -> str:
    """A text of at most 200 characters, for where others stand beside it; JSON has the whole."""
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN - _SHOWN_OF_END - 1]}…{text[-_SHOWN_OF_END:]}"


def printable_lines(text: str) -> str:
    """The same for a text of several lines, whose breaks and tabs are kept."""
    return "\n".join(
        "\t".join(printable(part) for part in line.removesuffix("\r").split("\t"))
        for line in text.split("\n")
    )


def pass_on(command: Sequence[str], **options: Any) -> None:
    """Run a command until it ends or is interrupted, and print its lines as a terminal may have them.

    Args:
        command: The command.
        options: What else `subprocess.Popen` takes.
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
            running.terminate()  # nobody may read what it prints


def say(line: str, *, err: bool = False) -> None:
    """Print one line, whoever wrote its parts."""
    print(printable(line), file=sys.stderr if err else sys.stdout)
