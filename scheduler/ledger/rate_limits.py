"""How many requests each rate limit admitted and refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from scheduler.ledger.job_scripts import MAX_NAMES, OTHER
from scheduler.ledger.reading import amounts, largest

COUNTS = "rqmon:ledger:rate-limits"  # hash: "<admitted or refused>|<resource>" -> requests
RESOURCES = "rqmon:ledger:rate-limits:resources"  # set: those counted separately; the others are OTHER
COMMANDS = {"rate limits": ("HGETALL", COUNTS)}


class RateLimitOutcome(StrEnum):
    """What became of a request."""

    ADMITTED = "admitted"
    REFUSED = "refused"


# A function for the limit's own script, so that counting costs no round trip. Its first two arguments are
# COUNTS and RESOURCES, from KEYS. A key or field of the wrong type loses the count, but no request.
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


@dataclass(frozen=True, slots=True)
class RateLimitCounts:
    """Requests by (resource, outcome), without the `left_out` resources that have the fewest.

    Fields in `unreadable` are counted nowhere else.
    """

    requests: Mapping[tuple[str, str], int]
    left_out: int
    unreadable: tuple[str, ...]


def parse(answer: Mapping[bytes, bytes]) -> RateLimitCounts:
    """Read the counts from the answer to COMMANDS; a field that can't be read affects no other."""
    numbers, unreadable = amounts(answer, "rate limits", bars=1)
    requests: dict[tuple[str, str], int] = {}
    sizes: dict[str, float] = {}
    for name, number in numbers.items():
        outcome, _, resource = name.partition("|")
        requests[(resource, outcome)] = int(number)
        sizes[resource] = sizes.get(resource, 0.0) + number
    kept = largest(sizes, MAX_NAMES + 1)  # with OTHER
    return RateLimitCounts(
        MappingProxyType({key: number for key, number in requests.items() if key[0] in kept}),
        left_out=len(sizes) - len(kept),
        unreadable=unreadable,
    )
