"""Unreadable dashboard files are refused, with the reason."""

import json
from typing import Any

import pytest

from rqmon.preview.grafana.model import parse_dashboard


@pytest.mark.parametrize("data", [[], {}, {"title": "x", "panels": {}}, {"title": "x", "panels": []}])
def test_what_is_no_dashboard_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="dashboard"):
        parse_dashboard(data)


def test_a_panel_of_the_wrong_shape_is_named() -> None:
    with pytest.raises(ValueError, match="KeyError: 'gridPos'"):
        parse_dashboard(json.loads('{"uid": "u", "title": "t", "panels": [{"type": "stat"}]}'))
