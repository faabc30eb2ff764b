"""How many requests each rate limit admitted and refused."""

from collections.abc import Mapping

from redis import Redis

COUNTS = "rqmon:ledger:rate-limits"  # hash: "<admitted or refused>|<resource>" -> requests


def count(connection: Redis, resource: str, *, admitted: bool) -> None:
    """Count one request."""
    connection.hincrby(COUNTS, f"{'admitted' if admitted else 'refused'}|{resource}", 1)


def parse(answer: Mapping[bytes, bytes]) -> dict[tuple[str, str], int]:
    """Requests by (resource, outcome), from the hash COUNTS."""
    counted = {}
    for name, requests in answer.items():
        outcome, _, resource = name.decode(errors="replace").partition("|")
        counted[(resource, outcome)] = int(float(requests))
    return counted
