import pytest

from scheduler import FunctionError
from scheduler.functions import import_path
from tests.jobs import Recorder, pid


def test_functions_and_paths_are_found():
    assert import_path(pid) == "tests.jobs.pid"
    assert import_path(Recorder.record) == "tests.jobs.Recorder.record"
    assert import_path("a.module.function") == "a.module.function"


def test_what_a_worker_cannot_import_is_refused():
    def nested():
        pass

    def of_main():
        pass

    of_main.__module__, of_main.__qualname__ = "__main__", "of_main"
    for function, named in [
        (lambda: None, "lambda"),
        (nested, "nested"),
        (of_main, "__main__"),
        ("nodots", "not an import path"),
        (42, "can't be called"),
    ]:
        with pytest.raises(FunctionError, match=named):
            import_path(function)
