"""Options that grafanalib does not set, for each kind of panel: the pinned Grafana's own defaults.

They are the `defaultOptions` in dist/esm/raw/composable/<panel>/panelcfg/x/types.gen.mjs of the npm package
@grafana/schema 13.2.2.
"""

from typing import Any

SINGLE_VALUE: dict[str, Any] = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
OPTIONS: dict[str, dict[str, Any]] = {
    "bargauge": SINGLE_VALUE
    | {
        "displayMode": "gradient",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": False},
        "maxVizHeight": 300,
        "minVizHeight": 16,
        "minVizWidth": 8,
        "namePlacement": "auto",
        "orientation": "horizontal",
        "showUnfilled": True,
        "sizing": "auto",
        "valueMode": "color",
    },
    "gauge": SINGLE_VALUE
    | {
        "barShape": "flat",
        "barWidthFactor": 0.5,
        "effects": {},
        "endpointMarker": "point",
        "minVizHeight": 75,
        "minVizWidth": 75,
        "orientation": "auto",
        "segmentCount": 1,
        "segmentSpacing": 0.3,
        "shape": "gauge",
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
        "sizing": "auto",
        "sparkline": False,
        "textMode": "auto",
    },
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {
            "exponent": 0.5,
            "fill": "dark-orange",
            "mode": "scheme",
            "reverse": False,
            "scale": "exponential",
            "scheme": "Oranges",
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"placement": "bottom", "show": True},
        "rowsFrame": {"layout": "auto"},
        "selectionMode": "x",
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": False},
    },
    "stat": {"percentChangeColorMode": "standard", "showPercentChange": False, "wideLayout": True},
    "state-timeline": {"perPage": 20},
    "table": {"cellHeight": "sm", "frameIndex": 0, "showTypeIcons": False},
    "timeseries": {},
}
