"""Time ranges as Grafana writes them (`now-1h`, `now/d`, epoch milliseconds, ISO), and steps for queries."""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

QUICK_RANGES = (
    ("now-5m", "Last 5 minutes"),
    ("now-15m", "Last 15 minutes"),
    ("now-30m", "Last 30 minutes"),
    ("now-1h", "Last 1 hour"),
    ("now-3h", "Last 3 hours"),
    ("now-6h", "Last 6 hours"),
    ("now-12h", "Last 12 hours"),
    ("now-24h", "Last 24 hours"),
    ("now-2d", "Last 2 days"),
    ("now-7d", "Last 7 days"),
)
REFRESH_CHOICES = ("", "5s", "10s", "30s", "1m")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 2592000, "y": 31536000}
_RELATIVE = re.compile(r"now(?:-(\d{1,6})([smhdwMy]))?(?:/([dwMy]))?")
_MAX_RANGE_SECONDS = 366 * 86400
_NICE_STEPS_SECONDS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600)


@dataclass(frozen=True)
class TimeRange:
    """A range as text (`start_text`, `end_text`), and its meaning at one moment in seconds since 1970.

    `zone` is the viewer's; None means this machine's.
    """

    start_text: str
    end_text: str
    start: float
    end: float
    zone: tzinfo | None = None

    @property
    def seconds(self) -> float:
        """Return the length of the range."""
        return self.end - self.start

    @property
    def label(self) -> str:
        """Return the range's name in the picker: `Last 1 hour`, or its two ends."""
        if self.end_text == "now":
            known = dict(QUICK_RANGES).get(self.start_text)
            if known:
                return known
        ends = (
            datetime.fromtimestamp(moment, UTC).astimezone(self.zone) for moment in (self.start, self.end)
        )
        return " to ".join(end.strftime("%Y-%m-%d %H:%M:%S") for end in ends)


def duration_seconds(text: str) -> float | None:
    """Convert `10s`, `1m30s` or a number of seconds to seconds; None if it is not a duration."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+[smhdwy])+", text):
        return None
    return float(sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"(\d+)([smhdwy])", text)))


def parse_moment(text: str, *, now: float, is_end: bool = False, zone: tzinfo | None = None) -> float | None:
    """Return one end of a range in seconds since 1970; None if the text is not a time.

    `/d`, `/w`, `/M` and `/y` round to the start of the day, week, month or year; at a range's end, to its
    end. Days are the zone's, by default this machine's.
    """
    relative = _RELATIVE.fullmatch(text)
    if relative:
        count, unit, rounded_to = relative.groups()
        if rounded_to:
            return _rounded(now, int(count or 0), unit or "d", rounded_to, is_end=is_end, zone=zone)
        return now - int(count) * _SECONDS[unit] if count else now
    if re.fullmatch(r"\d{10,14}", text):
        return int(text) / 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _rounded(
    now: float, count: int, unit: str, rounded_to: str, *, is_end: bool, zone: tzinfo | None
) -> float | None:
    """Count back in the calendar, so that `now-1M/M` is the previous month; None beyond the calendar."""
    if unit in ("s", "m", "h"):
        now -= count * _SECONDS[unit]
    try:
        day = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
        if unit in ("d", "w"):
            day -= timedelta(days=count * (7 if unit == "w" else 1))
        elif unit in ("M", "y"):
            year, month = divmod(day.year * 12 + day.month - 1 - count * (12 if unit == "y" else 1), 12)
            day = date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
        first, following = {
            "d": (day, day + timedelta(days=1)),
            "w": (monday := day - timedelta(days=day.weekday()), monday + timedelta(days=7)),
            "M": (day.replace(day=1), (day.replace(day=1) + timedelta(days=32)).replace(day=1)),
            "y": (date(day.year, 1, 1), date(day.year + 1, 1, 1)),
        }[rounded_to]
        # Without a zone, this machine's is used.
        midnight = datetime.combine(following if is_end else first, time(), zone).timestamp()
    except (OSError, OverflowError, ValueError):
        return None
    return midnight - 0.001 if is_end else midnight


def parse_range(
    start_text: str, end_text: str, *, now: float, zone: tzinfo | None = None
) -> TimeRange | None:
    """Return the range; None unless it lasts 1 second to 366 days, from 10 years ago to a year ahead."""
    start = parse_moment(start_text, now=now, zone=zone)
    end = parse_moment(end_text, now=now, is_end=True, zone=zone)
    if start is None or end is None or not 1 <= end - start <= _MAX_RANGE_SECONDS:
        return None
    if start < now - 10 * _MAX_RANGE_SECONDS or end > now + _MAX_RANGE_SECONDS:
        return None
    return TimeRange(start_text=start_text, end_text=end_text, start=start, end=end, zone=zone)


def step_seconds(range_seconds: float, *, points: int, min_step_seconds: float) -> float:
    """Return the smallest round step that gives at most `points` points and is not below the minimum."""
    wanted = max(range_seconds / points, min_step_seconds)
    return next((step for step in _NICE_STEPS_SECONDS if step >= wanted), -(-wanted // 86400) * 86400)


def format_seconds(seconds: float) -> str:
    """Write a duration in PromQL: in whole seconds if possible, otherwise in milliseconds."""
    return f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds * 1000:.0f}ms"
