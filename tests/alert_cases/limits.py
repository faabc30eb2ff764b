"""Cases of dashboards/alerts/limits.py."""

from tests.alert_cases.case import Case, Fires, Silent

_ADMITTED = 'rq_rate_limit_requests_total{resource="r", outcome="admitted"}'
_REFUSED = 'rq_rate_limit_requests_total{resource="r", outcome="refused"}'

CASES: tuple[Case, ...] = (
    Fires(
        alert="RQRateLimitStarved",
        labels={"resource": "r"},
        series={_ADMITTED: "0+1x800", _REFUSED: "0+49x800"},
        at=905,
        says=(
            "The rate limit r admits next to nothing",
            "r refused 98% of its requests in 15 minutes.",
        ),
    ),
    Silent(
        alert="RQRateLimitStarved",
        why="one in ten is admitted",
        series={_ADMITTED: "0+1x800", _REFUSED: "0+9x800"},
        at=2000,
    ),
    Silent(
        alert="RQRateLimitStarved",
        why="19 requests at night",
        series={_ADMITTED: "0x800", _REFUSED: "0x100 19x700"},
        at=1500,
    ),
)
