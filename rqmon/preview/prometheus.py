"""Reads Prometheus's HTTP API; the only module of the preview that uses the network."""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import aiohttp

from rqmon.preview.grafana.timerange import duration_seconds

DEFAULT_SCRAPE_INTERVAL_SECONDS = 15.0


class QueryError(Exception):
    """Prometheus answered that a query is wrong or too slow; the message is Prometheus's, in one line."""


class QueryTimeoutError(QueryError):
    """Prometheus took too long for a query."""


class PrometheusUnreachableError(Exception):
    """Prometheus does not answer, or something else answers instead."""


@dataclass(frozen=True)
class Series:
    """One series: its labels, and (seconds since 1970, value) in ascending order of time."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """A client of one Prometheus, for one event loop, with at most `concurrency` requests at once."""

    def __init__(self, url: str, *, concurrency: int = 8) -> None:
        self.url = url
        self._slots = asyncio.Semaphore(concurrency)

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        # Bound to the running loop. A hundred queries cost 0.07 s of CPU; with httpx, 0.44 s.
        return aiohttp.ClientSession()

    async def query(self, expr: str, *, at: float) -> list[Series]:
        """Return the value of an expression at one moment (seconds since 1970).

        Prometheus returns the series of an aggregation in an order that varies. Here they are sorted by their
        labels, unless the expression itself sorts.
        """
        series = _series(await self._get("query", {"query": expr, "time": f"{at:.3f}"}))
        if re.match(r"[\s(]*(sort|topk|bottomk)\b", expr):
            return series
        return sorted(series, key=lambda one: sorted(one.labels.items()))

    async def query_range(self, expr: str, *, start: float, end: float, step_seconds: float) -> list[Series]:
        """Return the values of an expression from `start` to `end`, every `step_seconds`."""
        parameters = {
            "query": expr,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step_seconds:g}",
        }
        return _series(await self._get("query_range", parameters))

    async def label_values(self, label: str, *, match: str, start: float, end: float) -> list[str]:
        """Return a label's values in the series that `match` (a selector, may be empty) selects."""
        parameters = {"start": f"{start:.0f}", "end": f"{end:.0f}"} | ({"match[]": match} if match else {})
        return [str(value) for value in await self._get(f"label/{label}/values", parameters)]

    async def scrape_interval_seconds(self) -> float:
        """Return the global scrape interval from Prometheus's configuration; the default if it has none.

        Raises:
            PrometheusUnreachableError: There was no answer within 5 seconds. Prometheus has this answer in
                memory, so a slow query can't be the reason.
        """
        try:
            config = str((await self._get("status/config", {}, timeout_seconds=5)).get("yaml"))
        except QueryTimeoutError as error:
            raise PrometheusUnreachableError(f"Prometheus at {self.url} does not answer") from error
        except QueryError:
            return DEFAULT_SCRAPE_INTERVAL_SECONDS
        match = re.search(r"^\s*scrape_interval:\s*(\w+)", config, re.MULTILINE)
        return (match and duration_seconds(match.group(1))) or DEFAULT_SCRAPE_INTERVAL_SECONDS

    async def is_up(self) -> bool:
        """Whether Prometheus answers a query."""
        try:
            await self._get("query", {"query": "vector(1)"})
        except (PrometheusUnreachableError, QueryError):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _get(self, path: str, parameters: dict[str, str], *, timeout_seconds: float = 15) -> Any:
        url = f"{self.url.rstrip('/')}/api/v1/{path}"
        timeout = aiohttp.ClientTimeout(connect=2, sock_read=timeout_seconds)
        async with self._slots:
            try:
                async with self._session.get(
                    url, params=parameters, timeout=timeout, allow_redirects=False
                ) as response:
                    body = json.loads(await response.read())
            except aiohttp.SocketTimeoutError as error:
                message = f"Prometheus took longer than {timeout_seconds:g} seconds for this query"
                raise QueryTimeoutError(message) from error
            except (aiohttp.ClientError, ValueError) as error:
                raise PrometheusUnreachableError(f"Prometheus at {self.url} does not answer") from error
        if not isinstance(body, dict) or (body.get("status") != "error" and "data" not in body):
            raise PrometheusUnreachableError(f"What answers at {self.url} is not Prometheus")
        if body.get("status") == "error":
            raise QueryError(" ".join(str(body.get("error") or "the query failed").split())[:300])
        return body["data"]


def _series(data: Any) -> list[Series]:
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return [Series({}, ((float(result[0]), float(result[1])),))]
    if kind not in ("vector", "matrix"):
        raise QueryError(f"a {kind} result can't be drawn")
    return [
        Series(item["metric"], tuple((float(t), float(v)) for t, v in item.get("values") or [item["value"]]))
        for item in result
        if "values" in item or "value" in item
    ]
