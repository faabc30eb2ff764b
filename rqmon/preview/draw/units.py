"""Formats values by Grafana unit ids: the one table of scales, shared with the browser as JSON."""

import math
import time
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

# The viewer's time zone, used for dates; None means this machine's.
ZONE: ContextVar[tzinfo | None] = ContextVar("zone", default=None)


@dataclass(frozen=True)
class Step:
    """From `at_least` on (absolute value), divide by `divisor` and append `suffix`."""

    at_least: float
    divisor: float
    suffix: str


@dataclass(frozen=True)
class Scale:
    """How one unit is written: its steps in ascending order, and the prefix of the number."""

    steps: tuple[Step, ...]
    prefix: str = ""

    def to_json(self, decimals: int | None) -> dict[str, object]:
        """Return the scale for preview.js: `{steps: [[at_least, divisor, suffix]], prefix, decimals}`."""
        steps = [[s.at_least, s.divisor, s.suffix] for s in self.steps]
        return {"steps": steps, "prefix": self.prefix, "decimals": decimals}


def _powers(base: float, suffixes: list[str], unit: str = "") -> Scale:
    steps = [Step(base**i if i else 0, base**i, suffix + unit) for i, suffix in enumerate(suffixes)]
    return Scale(tuple(steps))


def _flat(suffix: str, divisor: float = 1) -> Scale:
    return Scale((Step(0, divisor, suffix),))


def _durations(first: str) -> Scale:
    """Return the scale of time units from `first` on, the value's unit (ns, µs, ms, s, m, h or d)."""
    seconds = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
    shown = [("ns", " ns"), ("µs", " µs"), ("ms", " ms"), ("s", " s"), ("m", " min"), ("h", " hour")]
    one = seconds[first]
    steps = [Step(seconds[key] / one, seconds[key] / one, suffix) for key, suffix in shown]
    for length, suffix in ((86400, " day"), (604800, " week"), (31536000, " year")):
        steps.append(Step(length / one, length / one, suffix))
    if first != "s":  # Grafana uses smaller units only for seconds
        steps = [step for step in steps if step.divisor >= 1]
    return Scale((Step(0, steps[0].divisor, steps[0].suffix), *steps[1:]))


_IEC = [" B", " KiB", " MiB", " GiB", " TiB", " PiB"]
_SI = [" B", " kB", " MB", " GB", " TB", " PB"]
_COUNTS = ["", "K", "M", "B", "T"]
_SCALES: dict[str, Scale] = {
    "none": _flat(""),
    "string": _flat(""),
    "short": _powers(1000, ["", " K", " Mil", " Bil", " Tri"]),
    "sishort": _powers(1000, ["", " k", " M", " G", " T"]),
    "locale": _flat(""),
    "percent": _flat("%"),
    "percentunit": _flat("%", 0.01),
    "ns": _durations("ns"),
    "µs": _durations("µs"),
    "ms": _durations("ms"),
    "s": _durations("s"),
    "dtdurations": _durations("s"),
    "m": _durations("m"),
    "h": _durations("h"),
    "d": _durations("d"),
    "bytes": _powers(1024, _IEC),
    "decbytes": _powers(1000, _SI),
    "binBps": _powers(1024, _IEC, "/s"),
    "Bps": _powers(1000, _SI, "/s"),
    "hertz": _powers(1000, [" Hz", " kHz", " MHz", " GHz"]),
} | {
    unit: _powers(1000, _COUNTS, suffix)
    for unit, suffix in {
        "ops": " ops/s",
        "reqps": " req/s",
        "cps": " c/s",
        "rps": " rd/s",
        "wps": " wr/s",
        "eps": " evt/s",
        "mps": " msg/s",
        "opm": " ops/min",
        "cpm": " c/min",
    }.items()
}
_DATES = {
    "dateTimeAsIso": "%Y-%m-%d %H:%M:%S",
    "dateTimeAsIsoNoDateIfToday": "%Y-%m-%d %H:%M:%S",
    "dateTimeAsSystem": "%Y-%m-%d %H:%M:%S",
    "dateTimeAsLocal": "%Y-%m-%d %H:%M:%S",
}
_BOOLEANS = {"bool": ("False", "True"), "bool_yes_no": ("No", "Yes"), "bool_on_off": ("Off", "On")}


def scale_of(unit: str) -> Scale:
    """Return the scale of a Grafana unit id, also `prefix:x` or `suffix:x`; an unknown id is a suffix."""
    kind, separator, text = unit.partition(":")
    if separator and kind == "prefix":
        return Scale((Step(0, 1, ""),), prefix=text)
    if separator and kind == "suffix":
        return _flat(text)
    return _SCALES.get(unit, _flat(f" {unit}" if unit else ""))


def auto_decimals(value: float) -> int:
    """Return the decimals needed for three significant digits; 0 for a whole number."""
    if value == 0 or value == int(value):
        return 0
    return max(0, 2 - math.floor(math.log10(abs(value))))


def format_value(value: float | None, *, unit: str = "none", decimals: int | None = None) -> str:
    """Write a value as Grafana does: `1.50 K`, `12.3%`, `2 min`. Dates are milliseconds since 1970."""
    if value is None or math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if unit in _BOOLEANS:
        return _BOOLEANS[unit][bool(value)]
    if unit in _DATES:
        zone = ZONE.get()
        moment = datetime.fromtimestamp(value / 1000, UTC).astimezone(zone)
        today = moment.date() == datetime.now(UTC).astimezone(zone).date()
        only_time = today and unit == "dateTimeAsIsoNoDateIfToday"
        return moment.strftime("%H:%M:%S" if only_time else _DATES[unit])
    if unit == "dateTimeFromNow":
        age_seconds = time.time() - value / 1000
        text = format_value(abs(age_seconds), unit="s", decimals=0)
        return f"{text} ago" if age_seconds >= 0 else f"in {text}"
    scale = scale_of(unit)
    step = _step_for(scale, value)
    scaled = value / step.divisor
    digits = auto_decimals(scaled) if decimals is None else decimals
    text = f"{scaled:,.{digits}f}" if unit == "locale" else f"{scaled:.{digits}f}"
    return scale.prefix + text + step.suffix


def _step_for(scale: Scale, value: float) -> Step:
    if value == 0:
        return next((step for step in scale.steps if step.divisor == 1), scale.steps[0])
    return [step for step in scale.steps if abs(value) >= step.at_least][-1]
