"""Reads `.env`, or says in one line why it can't be read."""

import io
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from scheduler.errors import ConfigError


def read_env_file(path: Path) -> str:
    """Return the file's text; empty if there is no file.

    Raises:
        ConfigError: It can't be read, is not UTF-8, or contains what an environment can't.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(
            f"{path} can't be read ({error.strerror}): it must be a file that this user may read"
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path} is not in UTF-8: save it in that encoding, or delete it to get a new one"
        ) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise ConfigError(
            f"Line {line} of {path} has a NUL byte: save it as text in UTF-8, or delete it to get a new one"
        )
    for binding in parse_stream(io.StringIO(text)):
        if "=" in (binding.key or ""):
            raise ConfigError(f"Line {line_of(binding)} of {path} has a = in its name: write NAME=value")
    return text


def line_of(binding: Binding) -> int:
    """Return the number of the line on which a statement starts."""
    statement = binding.original.string  # includes the empty lines before it
    return binding.original.line + statement[: -len(statement.lstrip())].count("\n")
