"""Problems found while a snapshot is read."""

import hiredis
from redis.exceptions import ResponseError

from scheduler.connections.refusals import CODES, WRITE_CODES, refusal


def refusal_code(answer: object) -> str | None:
    """Return the code with which Redis refused; None if it did not."""
    return refusal(ResponseError(str(answer))) if isinstance(answer, hiredis.ReplyError) else None


class Problems:
    """Problems, collected while reading. They become part of the snapshot, which describes each field."""

    def __init__(self) -> None:
        self.refusing = dict.fromkeys(CODES, False)
        self.refused: list[str] = []
        self.unreadable: list[str] = []

    def write_answered(self, answer: object) -> None:
        """Note how Redis answered a write."""
        code = refusal_code(answer)
        if code == "NOPERM":  # this user may not write, so the answer to others is unknown
            for unknown in WRITE_CODES:
                del self.refusing[unknown]
        elif code is not None:
            self.refusing[code] = True

    def failed(self, name: str, error: hiredis.ReplyError) -> None:
        """Note what could not be read because Redis answered with an error."""
        code = refusal_code(error)
        if code is None:
            self.unreadable.append(name)
        else:
            self.refusing[code] = True
            self.refused.append(name)

    def cant_read(self, *names: str) -> None:
        """Note what is not in the form that RQ and this project write."""
        self.unreadable += names
