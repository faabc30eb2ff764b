"""Alerts about rate limits."""

from dashboards.alerts.model import SERVER, Alert
from rqmon.thresholds import LEAST_EXECUTIONS, REFUSED_SHARE

_BY = f"sum by ({SERVER}, resource)"
_ALL = f"{_BY} (rate(rq_rate_limit_requests_total[15m]))"
_REFUSED = f'{_BY} (rate(rq_rate_limit_requests_total{{outcome="refused"}}[15m]))'

ALERTS = (
    Alert(
        name="RQRateLimitStarved",
        fault="Far more is asked of a limit than it admits.",
        expr=f"{_REFUSED} / {_ALL} > {REFUSED_SHARE.alert} and {_ALL} * 900 >= {LEAST_EXECUTIONS}",
        for_seconds=900,
        severity="warning",
        summary="The rate limit {{ $labels.resource }} admits next to nothing",
        description="{{ $labels.resource }} refused {{ $value | humanizePercentage }} of its requests in 15 "
        "minutes.",
        dashboard="rq-limits",
        panel="Refused share by resource",
    ),
)
