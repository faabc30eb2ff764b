"""How many requests each rate limit admitted and refused; the limit's own script counts them."""

from collections.abc import Mapping

COUNTS = "rqmon:ledger:rate-limits"  # hash: "<admitted or refused>|<resource>" -> requests


def field(resource: str, *, admitted: bool) -> str:
    """Where requests of one outcome are counted in COUNTS."""
    return f"{'admitted' if admitted else 'refused'}|{resource}"


def parse(answer: Mapping[bytes, bytes]) -> dict[tuple[str, str], int]:
    """Requests by (resource, outcome), from the hash COUNTS."""
    counted = {}
    for name, requests in answer.items():
        outcome, _, resource = name.decode(errors="replace").partition("|")
        counted[(resource, outcome)] = int(float(requests))
    return counted
