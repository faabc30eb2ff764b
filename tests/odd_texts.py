"""Jobs whose exception, description, meta or result has text that UTF-8 or a terminal can't take."""

from rq import get_current_job

HALF = "\ud83d"  # what json.loads('"\\ud83d"') gives


class NoTextError(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


class ExitsAsTextError(Exception):
    def __str__(self):
        raise SystemExit(7)

    __repr__ = __str__


class HugeError(Exception):
    def __str__(self):
        return "".join(map(str, range(200_000)))


class NoTextAtAll:
    """A result that can be stored but not shown."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def fail_with_half():
    raise ValueError(f"{HALF} half a character")


def fail_with_half_in_its_class():
    raise type("E", (Exception,), {"__qualname__": f"E{HALF}", "__module__": f"m{HALF}"})


def fail_with_long_class():
    raise type("E" * 100_000, (Exception,), {})


def fail_with_odd_class():
    raise type("E", (Exception,), {"__qualname__": 'a|b"c\\d\ne{}\r\0f', "__module__": None})


def fail_with_nul():
    raise ValueError("nul \0, \x1b[31m and \n a line")


def fail_without_text():
    raise NoTextError


def fail_with_an_exit_as_text():
    raise ExitsAsTextError


def fail_with_huge_text():
    raise HugeError


def fail_with_half_as_description():
    get_current_job().description = HALF
    raise ValueError


def fail_with_half_in_meta():
    get_current_job().meta["correlation_id"] = HALF
    raise ValueError


def succeed_with_half_as_description():
    get_current_job().description = HALF


def succeed_with_half_in_meta():
    get_current_job().meta["note"] = HALF
    get_current_job().save_meta()


def succeed_with_half():
    return [HALF]


def succeed_without_text():
    return NoTextAtAll()


FAIL = [function for name, function in dict(globals()).items() if name.startswith("fail_")]
SUCCEED = [function for name, function in dict(globals()).items() if name.startswith("succeed_")]
