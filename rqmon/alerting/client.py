"""Asks Prometheus, Alertmanager and the log of notifications, at their doors."""

from dataclasses import dataclass
from typing import Any

import httpx

from rqmon.resources import command_line
from scheduler.errors import SchedulerError

_CONNECT_SECONDS = 5.0


class AlertingError(SchedulerError):
    """What alerts come from, or go to, does not answer."""


@dataclass(frozen=True, slots=True)
class Server:
    """One of them.

    Attributes:
        name: What a person calls it.
        url: Where it is, without a path.
    """

    name: str
    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """The answer's JSON.

        Raises:
            AlertingError: There is none; or it is an error, whose text is given.
        """
        return self._ask("GET", path, params=parameters).json()

    def text(self, path: str) -> str:
        """The answer's text.

        Raises:
            AlertingError: There is none.
        """
        return self._ask("GET", path).text

    def post(self, path: str, body: Any) -> Any:
        """Send JSON; return the answer's, None where it has none.

        Raises:
            AlertingError: It does not take it.
        """
        answer = self._ask("POST", path, json=body)
        return answer.json() if answer.content else None

    def delete(self, path: str) -> None:
        """Delete what is there.

        Raises:
            AlertingError: It does not do it.
        """
        self._ask("DELETE", path)

    def query(self, path: str, **parameters: str) -> Any:
        """What Prometheus's API has under `data`.

        Raises:
            AlertingError: There is no answer, or another program's.
        """
        answer = self.get(f"/api/v1/{path}", **parameters)
        if not isinstance(answer, dict) or "data" not in answer:
            raise AlertingError(f"What answers at {self.url} is not {self.name}")
        return answer["data"]

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        # A query over days may take minutes on a loaded machine.
        timeout = httpx.Timeout(120.0, connect=_CONNECT_SECONDS)
        try:
            answer = httpx.request(method, f"{self.url}{path}", timeout=timeout, trust_env=False, **options)
            if answer.is_success and "json" in answer.headers.get("content-type", ""):
                answer.json()
        except (httpx.HTTPError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise AlertingError(
                f"{self.name} at {self.url} does not answer ({why}): see {command_line('status')}"
            ) from None
        if not answer.is_success:
            said = " ".join(answer.text.split())[:300]
            raise AlertingError(f"{self.name} at {self.url} answers {answer.status_code}: {said}")
        return answer
