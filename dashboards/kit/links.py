"""Data links: to the jobs of a queue in rq-dashboard, and to the dashboard on which one reads on."""

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


@dataclass(frozen=True)
class Board:
    """Opens another dashboard, with what is chosen on this one."""

    title: str
    uid: str  # or a reference to a label that has it

    def link(self) -> dict[str, Any]:
        """Return the link, as of a number or of a table's column."""
        return {
            "title": self.title,
            "url": f"/d/{self.uid}?${{__url_time_range}}&${{__all_variables}}",
            "targetBlank": False,
        }

    def of_column(self, column: str) -> dict[str, Any]:
        """Return an override that makes a table column the link of each row."""
        return {
            "matcher": {"id": "byName", "options": column},
            "properties": [{"id": "links", "value": [self.link()]}],
        }


QUEUED = Link("Queued jobs of the queue", "queued/10/asc/1")
STARTED = Link("Running jobs of the queue", "started/10/asc/1")
DEFERRED = Link("Deferred jobs of the queue", "deferred/10/asc/1")
SCHEDULED = Link("Scheduled jobs of the queue", "scheduled/10/asc/1")
FAILED = Link("Failed jobs of the queue", "failed/10/desc/1")
READ_QUEUES = Board("Read on in RQ Queues", "rq-queues")
READ_JOBS = Board("Read on in RQ Jobs", "rq-jobs")
READ_CRON = Board("Read on in RQ Cron & scheduled", "rq-cron")
READ_WORKERS = Board("Read on in RQ Workers", "rq-workers")
READ_MONITORING = Board("Read on in RQ Monitoring itself", "rq-monitoring")
