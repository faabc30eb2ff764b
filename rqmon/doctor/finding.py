"""What a check finds: the fact, its cause, and the command that mends it."""

from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How grave a finding is; also the exit code of `rqmon doctor`."""

    WARNING = 1
    BROKEN = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        severity: Broken: jobs don't run, or are lost. A warning: they will be, or somebody should look.
        fact: What was seen, in a sentence.
        cause: Why it is so, and what it leads to.
        command: The shell command that mends it, or shows what to mend; empty where there is none.
    """

    severity: Severity
    fact: str
    cause: str
    command: str
