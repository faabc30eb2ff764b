"""How many requests each rate limit admitted and refused."""

from collections.abc import Mapping

from scheduler.ledger.job_scripts import MAX_NAMES, OTHER

COUNTS = "rqmon:ledger:rate-limits"  # hash: "<admitted or refused>|<resource>" -> requests
RESOURCES = "rqmon:ledger:rate-limits:resources"  # set: those that are told apart; the others are OTHER

# A function for the limit's own script, so that counting costs no round trip. Its first two arguments are
# COUNTS and RESOURCES, from KEYS.
COUNT = """
local function count(counts, resources, outcome, resource, requests)
  if redis.call('SISMEMBER', resources, resource) == 0 then
    if redis.call('SCARD', resources) < MAX then
      redis.call('SADD', resources, resource)
    else
      resource = 'OTHER'
    end
  end
  redis.call('HINCRBY', counts, outcome .. '|' .. resource, requests)
end
""".replace("MAX", str(MAX_NAMES)).replace("OTHER", OTHER)


def parse(answer: Mapping[bytes, bytes]) -> dict[tuple[str, str], int]:
    """Requests by (resource, outcome), from the hash COUNTS."""
    counted = {}
    for name, requests in answer.items():
        outcome, _, resource = name.decode(errors="replace").partition("|")
        counted[(resource, outcome)] = int(float(requests))
    return counted
