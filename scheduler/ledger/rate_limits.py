"""How many requests each rate limit admitted and refused."""

from collections.abc import Mapping
from enum import StrEnum

from scheduler.ledger.job_scripts import MAX_NAMES, OTHER

COUNTS = "rqmon:ledger:rate-limits"  # hash: "<admitted or refused>|<resource>" -> requests
RESOURCES = "rqmon:ledger:rate-limits:resources"  # set: those that are told apart; the others are OTHER


class RateLimitOutcome(StrEnum):
    """What became of a request."""

    ADMITTED = "admitted"
    REFUSED = "refused"


# A function for the limit's own script, so that counting costs no round trip. Its first two arguments are
# COUNTS and RESOURCES, from KEYS. A key or field that holds something else costs the count, and no request.
COUNT = (
    """
local function count(counts, resources, admitted, resource, requests)
  local outcome = admitted and 'ADMITTED' or 'REFUSED'
  local known = redis.pcall('SISMEMBER', resources, resource)
  if known ~= 1 then
    if known == 0 and redis.call('SCARD', resources) < MAX then
      redis.call('SADD', resources, resource)
    else
      resource = 'OTHER'
    end
  end
  redis.pcall('HINCRBY', counts, outcome .. '|' .. resource, requests)
end
""".replace("MAX", str(MAX_NAMES))
    .replace("OTHER", OTHER)
    .replace("ADMITTED", RateLimitOutcome.ADMITTED)
    .replace("REFUSED", RateLimitOutcome.REFUSED)
)


def parse(answer: Mapping[bytes, bytes]) -> dict[tuple[str, str], int]:
    """Requests by (resource, outcome), from the hash COUNTS."""
    counted = {}
    for name, requests in answer.items():
        outcome, _, resource = name.decode(errors="replace").partition("|")
        counted[(resource, outcome)] = int(float(requests))
    return counted
