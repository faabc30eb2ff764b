"""Tables, and the links of table rows and series."""

import math

import pytest

from rqmon.preview.draw.views import view
from rqmon.preview.grafana.variables import Value
from tests.unit.preview.drawing import RANGE, answer, drawn, panel


def test_tables_join_on_labels_and_organize() -> None:
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": {"queue": 0},
        "renameByName": {"Value #A": "Jobs"},
    }
    subject = panel(
        "table",
        targets=[
            {"refId": "A", "expr": "x", "format": "table"},
            {"refId": "B", "expr": "y", "format": "table"},
        ],
        transformations=[{"id": "merge"}, {"id": "organize", "options": organize}],
        options={"sortBy": [{"displayName": "Jobs", "desc": True}]},
    )
    first = answer(subject, ({"queue": "a"}, [1]), ({"queue": "b"}, [2]))
    second = answer(subject, ({"queue": "a"}, [5]), target=1)
    html = view(subject, [first, second], RANGE, {}).html
    heads = [part.split("<")[0] for part in html.split('class="sort">')[1:]]
    cells = [part.split(">")[1].split("<")[0] for part in html.split("<td ")[1:]]
    assert heads == ["queue", "Jobs", "Value #B"]
    assert cells == ["b", "2", "", "a", "1", "5"]


@pytest.mark.parametrize(("descending", "queues"), [(True, ["c", "a", "b"]), (False, ["a", "c", "b"])])
def test_rows_and_legends_without_a_value_are_last(descending: bool, queues: list[str]) -> None:
    series = [({"queue": "a"}, [9]), ({"queue": "b"}, [math.nan]), ({"queue": "c"}, [10])]
    table = panel("table", options={"sortBy": [{"displayName": "Value", "desc": descending}]})
    legend = {"displayMode": "table", "calcs": ["lastNotNull"], "sortBy": "Last *", "sortDesc": descending}
    chart = panel("timeseries", options={"legend": legend})
    direction = "descending" if descending else "ascending"
    for html in (drawn(table, *series).html, drawn(chart, *series).legend):
        assert sorted(queues, key=lambda queue: html.index(f">{queue}<")) == queues
        assert html.count("aria-sort") == html.count(f'aria-sort="{direction}"><button') == 1


LINKS = [{"title": "Jobs", "url": "${rq}/${__data.fields.queue:percentencode}/${__field.labels.queue}"}]


def linked(kind: str, queue: str, address: str) -> str:
    """Return the links drawn for a queue."""
    shown = view(
        panel(kind, fieldConfig={"defaults": {"links": LINKS}}),
        [answer(panel(kind), ({"queue": queue}, [1]))],
        RANGE,
        {"rq": Value((address,))},
    )
    return shown.html + shown.legend


@pytest.mark.parametrize("kind", ["table", "timeseries"])
def test_a_link_leads_where_its_variables_and_labels_say(kind: str) -> None:
    expected = 'href="https://rq.example.org/0/a%2Fb%3F%20%26%24rq/a/b? &amp;$rq" rel="noopener"'
    assert expected in linked(kind, "a/b? &$rq", "https://rq.example.org/0")


@pytest.mark.parametrize("kind", ["table", "timeseries"])
@pytest.mark.parametrize(
    "address", ["javascript:alert(1)//", "data:text/html,", "//evil.example", "", " http://x"]
)
def test_only_web_pages_are_linked(kind: str, address: str) -> None:
    assert "<a " not in linked(kind, "a", address)


@pytest.mark.parametrize("kind", ["table", "timeseries"])
def test_no_label_breaks_out_of_a_link(kind: str) -> None:
    drawn = linked(kind, '"><script>', 'http://x/"><script>')
    assert "<a " in drawn
    assert "<script" not in drawn


def test_a_table_links_the_column_that_has_the_link() -> None:
    override = {
        "matcher": {"id": "byName", "options": "queue"},
        "properties": [{"id": "links", "value": LINKS}],
    }
    subject = panel("table", fieldConfig={"overrides": [override]})
    html = view(subject, [answer(subject, ({"queue": "a"}, [1]))], RANGE, {"rq": Value(("http://x",))}).html
    assert html.count("<a ") == 1
    assert '<a href="http://x/a/a" rel="noopener" title="Jobs">a</a></td>' in html
