"""Links lead to jobs in rq-dashboard, and to the dashboard on which one reads on."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from flask import Flask
from rq_dashboard.web import blueprint

from dashboards.alerts.files import ALERTS
from dashboards.paths import DASHBOARDS, ROOT

MODELS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (ROOT / DASHBOARDS).glob("*.json")
}
PANELS = [panel for model in MODELS.values() for panel in model["panels"] if panel["type"] != "row"]


def _links(panel: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Return where each link of the panel takes the queue from, and its path on rq-dashboard with a queue."""
    config = panel["fieldConfig"]
    properties = (item for override in config["overrides"] for item in override["properties"])
    found = [item["value"] for item in properties if item["id"] == "links"]
    for link in chain(config["defaults"].get("links", []), *found):
        if link["url"].startswith("/d/"):
            continue
        address, queue = re.findall(r"\$\{[^}]+\}", link["url"])
        assert link["url"].startswith(f"{address}/")
        assert address == "${rq_dashboard}"
        yield queue, link["url"].removeprefix(address).replace(queue, "short")


def test_links_lead_from_a_queue_to_pages_that_rq_dashboard_serves() -> None:
    rq_dashboard = Flask("links")
    rq_dashboard.register_blueprint(blueprint)
    pages = rq_dashboard.url_map.bind("127.0.0.1")
    for panel in PANELS:
        for queue, path in _links(panel):
            endpoint, values = pages.match(path)
            assert (endpoint, values["queue_name"]) == ("rq_dashboard.jobs_overview", "short")
            assert values["registry_name"] in ("queued", "started", "deferred", "scheduled", "failed")
            source = "__data.fields" if panel["type"] == "table" else "__field.labels"
            assert queue == f"${{{source}.queue:percentencode}}", panel["title"]
            for target in panel["targets"]:
                assert re.search(r"by \((\w+, )*queue", target["expr"]), panel["title"]


def test_links_lead_to_dashboards_that_there_are_with_the_same_range_and_choices() -> None:
    for panel in PANELS:
        for url in re.findall(r'"(/d/[^"]*)"', json.dumps(panel)):
            uid, query = url.removeprefix("/d/").split("?")
            assert uid in MODELS or uid == "${__data.fields.dashboard}", panel["title"]
            assert query == "${__url_time_range}&${__all_variables}"


def test_every_tile_of_the_first_row_leads_to_where_one_reads_on() -> None:
    first, *tiles, problems = MODELS["rq-dashboard"]["panels"][:8]
    assert (first["title"], problems["title"]) == ("Now", "Problems now")
    assert [tile["title"] for tile in tiles] == [
        "Alerts firing",
        "Queues without workers",
        "Oldest waiting job",
        "Missed cron slots",
        "Failing share",
        "Busiest queue's workers",
    ]
    for tile in tiles:
        assert re.fullmatch(r"/d/rq-\w+\?.*", tile["fieldConfig"]["defaults"]["links"][0]["url"])


def test_an_alert_s_row_leads_to_the_dashboard_that_the_alert_names() -> None:
    table = next(panel for panel in MODELS["rq-dashboard"]["panels"] if panel["title"] == "Problems now")
    for alert in ALERTS:
        told = re.search(
            rf'"dashboard", "([\w-]+)", "alertname", "[\w|]*\b{alert.name}\b', table["targets"][0]["expr"]
        )
        assert told is not None, alert.name
        assert told[1] == alert.dashboard


def test_no_link_leads_to_the_dashboard_that_it_is_on() -> None:
    for uid, model in MODELS.items():
        assert f'"/d/{uid}?' not in json.dumps(model["panels"])
