"""What goes wrong while one snapshot is read."""

import hiredis
from redis.exceptions import ResponseError

from scheduler.connections.refusals import CODES, WRITE_CODES, refusal


def refusal_code(answer: object) -> str | None:
    """The code with which Redis refused; None where it did not."""
    return refusal(ResponseError(str(answer))) if isinstance(answer, hiredis.ReplyError) else None


class Problems:
    """Collected by those who read, and part of the snapshot in the end, which says what each one is."""

    def __init__(self) -> None:
        self.refusing = dict.fromkeys(CODES, False)
        self.refused: list[str] = []
        self.unreadable: list[str] = []

    def write_answered(self, answer: object) -> None:
        """Note what Redis answered to who wants to write."""
        code = refusal_code(answer)
        if code == "NOPERM":  # this user may not write, so what others are answered is not known
            for unknown in WRITE_CODES:
                del self.refusing[unknown]
        elif code is not None:
            self.refusing[code] = True

    def failed(self, name: str, error: hiredis.ReplyError) -> None:
        """Note what Redis answered an error for."""
        code = refusal_code(error)
        if code is None:
            self.unreadable.append(name)
        else:
            self.refusing[code] = True
            self.refused.append(name)

    def cant_read(self, *names: str) -> None:
        """Note what is not as RQ and this project write it."""
        self.unreadable += names
