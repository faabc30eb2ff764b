from zoneinfo import ZoneInfo

import pytest

from rqmon.preview.draw.units import ZONE, format_value, scale_of


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0, "short", None, "0"),
        (1500, "short", None, "1.50 K"),
        (1500, "short", 0, "2 K"),
        (2_000_000, "short", None, "2 Mil"),
        (1500, "none", None, "1500"),
        (3.14159, "none", None, "3.14"),
        (0.02345, "none", None, "0.0234"),
        (-1234.5, "short", 1, "-1.2 K"),
        (12.345, "percent", None, "12.3%"),
        (0.5, "percentunit", None, "50%"),
        (0, "percentunit", 1, "0.0%"),
        (0, "s", None, "0 s"),
        (0.0000005, "s", None, "500 ns"),
        (0.0015, "s", None, "1.50 ms"),
        (1.5, "s", None, "1.50 s"),
        (90, "s", None, "1.50 min"),
        (7200, "s", None, "2 hour"),
        (172800, "s", None, "2 day"),
        (250, "ms", None, "250 ms"),
        (2500, "ms", None, "2.50 s"),
        (0.25, "ms", None, "0.250 ms"),
        (1536, "bytes", None, "1.50 KiB"),
        (1500, "decbytes", None, "1.50 kB"),
        (12, "ops", None, "12 ops/s"),
        (1500, "reqps", 1, "1.5K req/s"),
        (3, "cps", None, "3 c/s"),
        (1234567, "locale", None, "1,234,567"),
        (1, "bool_yes_no", None, "Yes"),
        (4, "suffix: jobs", None, "4 jobs"),
        (4, "prefix:~", None, "~4"),
        (4, "widgets", None, "4 widgets"),
        (float("inf"), "short", None, "∞"),
        (float("nan"), "short", None, "NaN"),
    ],
)
def test_values_are_written_as_grafana_does(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert format_value(value, unit=unit, decimals=decimals) == text


def test_dates_are_local_iso() -> None:
    text = format_value(1_700_000_000_000, unit="dateTimeAsIso")
    assert text.startswith("2023-11-1")
    assert len(text) == len("2023-11-14 22:13:20")


def test_dates_are_of_the_persons_zone() -> None:
    token = ZONE.set(ZoneInfo("Asia/Tokyo"))
    try:
        assert format_value(1_700_000_000_000, unit="dateTimeAsIso") == "2023-11-15 07:13:20"
    finally:
        ZONE.reset(token)


def test_the_browser_gets_the_same_scale() -> None:
    assert scale_of("percentunit").to_json(2) == {"steps": [[0, 0.01, "%"]], "prefix": "", "decimals": 2}
