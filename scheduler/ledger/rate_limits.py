"""How many requests each rate limit admitted and refused."""

from collections.abc import Mapping

from redis import Redis

from scheduler.ledger.jobs import MAX_NAMES, OTHER

COUNTS = "rqmon:ledger:rate-limits"  # hash: "<admitted or refused>|<resource>" -> requests
_RESOURCES = "rqmon:ledger:rate-limits:resources"  # set: those that are told apart; the others are OTHER
_COUNT = """
local resource = ARGV[2]
if redis.call('SISMEMBER', KEYS[2], resource) == 0 then
  if redis.call('SCARD', KEYS[2]) < tonumber(ARGV[3]) then
    redis.call('SADD', KEYS[2], resource)
  else
    resource = ARGV[4]
  end
end
redis.call('HINCRBY', KEYS[1], ARGV[1] .. '|' .. resource, 1)
"""


def count(connection: Redis, resource: str, *, admitted: bool) -> None:
    """Count one request; those for resources beyond the first 500 are counted together."""
    outcome = "admitted" if admitted else "refused"
    connection.eval(_COUNT, 2, COUNTS, _RESOURCES, outcome, resource, str(MAX_NAMES), OTHER)


def parse(answer: Mapping[bytes, bytes]) -> dict[tuple[str, str], int]:
    """Requests by (resource, outcome), from the hash COUNTS."""
    counted = {}
    for name, requests in answer.items():
        outcome, _, resource = name.decode(errors="replace").partition("|")
        counted[(resource, outcome)] = int(float(requests))
    return counted
