"""Data links from a series or a row to the jobs of its queue in rq-dashboard."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Link:
    """Opens one of a queue's job lists; the linking series or row has the label `queue`."""

    title: str
    page: str  # in rq-dashboard: list, jobs per page, order and page

    def of_series(self) -> dict[str, Any]:
        """Return the link of each series of a graph."""
        return self._to("${__field.labels.queue:percentencode}")

    def of_column(self, column: str) -> dict[str, Any]:
        """Return an override that makes a table column the link of each row."""
        link = self._to("${__data.fields.queue:percentencode}")
        return {
            "matcher": {"id": "byName", "options": column},
            "properties": [{"id": "links", "value": [link]}],
        }

    def _to(self, queue: str) -> dict[str, Any]:
        return {
            "title": self.title,
            "url": f"${{rq_dashboard}}/0/view/jobs/{queue}/{self.page}",
            "targetBlank": True,
        }


QUEUED = Link("Queued jobs of the queue", "queued/10/asc/1")
SCHEDULED = Link("Scheduled jobs of the queue", "scheduled/10/asc/1")
FAILED = Link("Failed jobs of the queue", "failed/10/desc/1")
