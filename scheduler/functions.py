"""The import path by which a worker finds a function."""

from collections.abc import Callable
from typing import Any

from scheduler.errors import FunctionError

# The names of a module that was started as a file, or by `runpy`.
_STARTED = ("__main__", "<run_path>")


def import_path(function: Callable[..., Any] | str) -> str:
    """Return a function's import path: its module and qualified name.

    Raises:
        FunctionError: A worker can't import it: it is a lambda, nested in a function, or in `__main__`.
    """
    if isinstance(function, str):
        parts = function.split(".")
        if len(parts) < 2 or not all(part.isidentifier() for part in parts):
            raise FunctionError(f"{function!r} is not an import path: use 'module.function'")
        return function
    if not callable(function):
        raise FunctionError(f"{function!r} can't be called: use a function or its import path")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    path = f"{function.__module__}.{name}"
    if "<lambda>" in name:
        raise FunctionError("A worker can't import a lambda: define a function at the top level of a module")
    if "<locals>" in name:
        raise FunctionError(
            f"A worker can't import {path}, which is nested: define it at the module's top level"
        )
    if function.__module__ in _STARTED:
        raise FunctionError(f"A worker can't import {name} from {function.__module__}: move it into a module")
    return path
