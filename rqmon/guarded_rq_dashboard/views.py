"""rq-dashboard's routes: its pages, the JSON behind them, and what its buttons do.

The pages are rq-dashboard's own. What they show is read in `reading`, and what their buttons do is done in
`acting`: rq-dashboard 0.9 answers 500 to jobs and addresses that it does not expect.
"""

from pathlib import Path
from typing import Any

import rq_dashboard
from flask import Blueprint, current_app, g, make_response, render_template, url_for
from flask.typing import ResponseReturnValue
from rq.version import VERSION as RQ_VERSION
from rq_dashboard.version import VERSION
from werkzeug.exceptions import BadRequest, Forbidden, NotFound

from rqmon.guarded_rq_dashboard import acting
from rqmon.guarded_rq_dashboard.reading import REGISTRIES

NAME = "rq_dashboard"  # the templates' prefix for its routes

STATES = ("queued", *REGISTRIES)
_NEWEST_FIRST = {"asc": False, "dsc": True, "desc": True}
_MAX_PER_PAGE = 1000
_MAX_PAGE = 10**9
_PAGES_IN_WINDOW = 10
_FIRST_PAGE = {"per_page": "8", "order": "asc", "page": "1"}
_ENDED = {"finished", "failed", "canceled"}  # in these lists people look for the newest
_NAMED = 20  # how many gone jobs a message names; the answer has all
_PACKAGE = Path(rq_dashboard.__file__).parent

# A browser removes a part `..` from a path together with the part before it, and a part `.` alone, encoded or
# not. These are the addresses that such names lead to.
_DOTS = {"..": "", ".": "jobs/"}
_DOTS_OF_ACTIONS = {"..": "", ".": "queue/"}


def blueprint() -> Blueprint:
    """The routes, under the names that rq-dashboard's templates call them by."""
    routes = Blueprint(
        NAME, __name__, template_folder=str(_PACKAGE / "templates"), static_folder=str(_PACKAGE / "static")
    )
    for rule in (
        "/<int:instance_number>/",
        "/<int:instance_number>/view",
        "/<int:instance_number>/view/queues",
    ):
        routes.add_url_rule(rule, view_func=queues_overview)
    routes.add_url_rule("/", view_func=queues_overview, defaults={"instance_number": 0})
    routes.add_url_rule("/<int:instance_number>/view/workers", view_func=workers_overview)
    first = {"queue_name": "default", "registry_name": "queued", **_FIRST_PAGE}
    routes.add_url_rule("/<int:instance_number>/view/jobs", view_func=jobs_overview, defaults=first)
    page = "<word:registry_name>/<word:per_page>/<word:order>/<word:page>"
    for view, kind, end in ((jobs_overview, "view", ""), (list_jobs, "data", ".json")):
        start = f"/<int:instance_number>/{kind}"
        routes.add_url_rule(f"{start}/jobs/<name:queue_name>/{page}{end}", view_func=view)
        for name, rest in _DOTS.items():
            routes.add_url_rule(f"{start}/{rest}{page}{end}", view_func=view, defaults={"queue_name": name})
    routes.add_url_rule("/<int:instance_number>/view/job/<name:job_id>", view_func=job_view)
    routes.add_url_rule("/<int:instance_number>/data/job/<name:job_id>.json", view_func=job_info)
    routes.add_url_rule("/<int:instance_number>/data/queues.json", view_func=list_queues)
    routes.add_url_rule("/<int:instance_number>/data/workers.json", view_func=list_workers)
    routes.add_url_rule("/favicon.ico", view_func=favicon)
    actions = (
        ("/job/<name:job_id>/delete", delete_job_view),
        ("/job/<name:job_id>/requeue", requeue_job_view),
        ("/requeue/<name:queue_name>", requeue_all),
        ("/queue/<name:queue_name>/<word:registry_name>/empty", empty_queue),
        ("/queue/<name:queue_name>/compact", compact_queue),
    )
    for rule, action in actions:
        routes.add_url_rule(rule, view_func=action, methods=["POST"])
    for name, rest in _DOTS_OF_ACTIONS.items():
        named: dict[str, Any] = {"methods": ["POST"], "defaults": {"queue_name": name}}
        routes.add_url_rule(f"/{rest}<word:registry_name>/empty", view_func=empty_queue, **named)
        routes.add_url_rule(f"/{rest}compact", view_func=compact_queue, **named)
    return routes


def favicon() -> ResponseReturnValue:
    """The icon."""
    return current_app.send_static_file("favicon.ico")


def queues_overview() -> ResponseReturnValue:
    """The page of all queues."""
    return _page("queues", active_tab="queues")


def workers_overview() -> ResponseReturnValue:
    """The page of all workers."""
    return _page("workers", active_tab="workers")


def jobs_overview(
    queue_name: str, registry_name: str, per_page: str, order: str, page: str
) -> ResponseReturnValue:
    """The page of the jobs of a queue that are in one state."""
    _check_state(registry_name)
    return _page(
        "jobs",
        active_tab="jobs",
        queues=[{"name": name} for name in g.reader.queue_names()],
        queue={"name": queue_name},
        registry_name=registry_name,
        per_page=_number(per_page, "per_page", most=_MAX_PER_PAGE),
        order="dsc" if _is_newest_first(order) else "asc",
        page=_number(page, "page", most=_MAX_PAGE),
    )


def job_view(job_id: str) -> ResponseReturnValue:
    """The page of one job."""
    g.reader.job(job_id)
    return _page("job", id=job_id)


def list_queues() -> ResponseReturnValue:
    """Each queue's counts, and the addresses of its lists."""
    names = g.reader.queue_names()
    queues = []
    for name, counts in zip(names, g.reader.counts(names), strict=True):
        queue = {"name": name, "count": counts["queued"]}
        queue |= {f"{state}_job_registry_count": counts[state] for state in REGISTRIES}
        for state in STATES:
            order = "dsc" if state in _ENDED else "asc"
            queue[f"{state}_url"] = _address(name, state, **_FIRST_PAGE | {"order": order})
        queues.append(queue)
    return _json(queues=queues)


def list_jobs(
    queue_name: str, registry_name: str, per_page: str, order: str, page: str
) -> ResponseReturnValue:
    """One page of the jobs of a queue that are in one state."""
    _check_state(registry_name)
    newest_first = _is_newest_first(order)
    count = _number(per_page, "per_page", most=_MAX_PER_PAGE)
    current = _number(page, "page", most=_MAX_PAGE)
    found = g.reader.job_ids(
        queue_name, registry_name, offset=(current - 1) * count, count=count, newest_first=newest_first
    )
    if found is None:
        raise NotFound("What Redis holds at the key of this list is no list of jobs: it can't be shown.")
    total, ids = found
    last = -(-total // count)

    def link(number: int) -> dict[str, Any]:
        return {
            "url": _address(queue_name, registry_name, per_page=str(count), order=order, page=str(number))
        }

    first_in_window = max(1, min(last - _PAGES_IN_WINDOW + 1, current - _PAGES_IN_WINDOW // 2))
    window = range(first_in_window, min(last, first_in_window + _PAGES_IN_WINDOW - 1) + 1)
    pagination = {
        "current_page": current,
        "num_pages": last,
        "pages_in_window": [{"number": number, **link(number)} for number in window],
        "first_page": link(1),
        "last_page": link(max(1, last)),
    }
    if current > 1:
        pagination["prev_page"] = link(max(1, min(current - 1, last)))
    if current < last:
        pagination["next_page"] = link(current + 1)
    return _json(name=queue_name, registry_name=registry_name, jobs=g.reader.jobs(ids), pagination=pagination)


def job_info(job_id: str) -> ResponseReturnValue:
    """One job."""
    job = g.reader.job(job_id)
    try:
        return _json(**job)
    except RecursionError:  # it is nested nearly too deep to be read, and too deep to be written
        return _json(**{**job, "result": job["result_text"]})


def list_workers() -> ResponseReturnValue:
    """All workers."""
    return _json(workers=g.reader.workers())


def delete_job_view(job_id: str) -> ResponseReturnValue:
    """Delete a job."""
    _check_deleting()
    acting.delete(g.reader.redis, job_id)
    return _json(status="OK")


def requeue_job_view(job_id: str) -> ResponseReturnValue:
    """Queue a failed job again."""
    acting.requeue(g.reader.redis, job_id)
    return _json(status="OK")


def requeue_all(queue_name: str) -> ResponseReturnValue:
    """Queue all failed jobs of a queue again."""
    outcome = acting.requeue_all(g.reader.redis, queue_name)
    return _json(status="OK", count=outcome.done, **_what_else(outcome))


def empty_queue(queue_name: str, registry_name: str) -> ResponseReturnValue:
    """Delete the jobs of a queue that are in one state."""
    _check_deleting()
    _check_state(registry_name)
    return _json(status="OK", **_what_else(acting.empty(g.reader.redis, queue_name, registry_name)))


def compact_queue(queue_name: str) -> ResponseReturnValue:
    """Remove jobs that are gone from a queue's list."""
    return _json(status="OK", **_what_else(acting.compact(g.reader.redis, queue_name)))


def _page(name: str, **variables: Any) -> ResponseReturnValue:
    settings = current_app.config["SETTINGS"]
    response = make_response(
        render_template(
            f"rq_dashboard/{name}.html",
            current_instance=g.instance_number,
            instance_list=current_app.config["ADDRESSES"],
            rq_url_prefix=f"{settings.url_prefix}/",
            rq_dashboard_version=VERSION,
            rq_version=RQ_VERSION,
            poll_interval=settings.poll_interval_milliseconds,
            enable_delete=not settings.disable_delete,
            **variables,
        )
    )
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(**answer: Any) -> ResponseReturnValue:
    return current_app.json.response(**answer), {"Cache-Control": "no-store"}


def _address(queue_name: str, state: str, **page: str) -> str:
    variables: dict[str, Any] = {
        "instance_number": g.instance_number,
        "queue_name": queue_name,
        "registry_name": state,
    }
    return url_for(f"{NAME}.jobs_overview", **variables | page)


def _check_state(state: str) -> None:
    if state not in STATES:
        raise NotFound(f"There is no registry {state!r}: use one of {', '.join(STATES)}.")


def _check_deleting() -> None:
    if current_app.config["SETTINGS"].disable_delete:
        raise Forbidden("Deleting is switched off, by RQ_DASHBOARD_DISABLE_DELETE.")


def _is_newest_first(order: str) -> bool:
    if order not in _NEWEST_FIRST:
        raise BadRequest(f"There is no order {order!r}: use asc or dsc.")
    return _NEWEST_FIRST[order]


def _number(text: str, name: str, *, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise BadRequest(f"{name} is {text!r}: use a number from 1 to {most}.")
    return int(text)


def _what_else(outcome: acting.Outcome) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    sentences = []
    for name, ids, what in (
        ("gone", outcome.gone, "Gone already, and now taken from this list"),
        ("changed", outcome.changed, "Changed meanwhile and left as they are, try again"),
    ):
        if ids:
            answer[name] = ids
            more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
            sentences.append(f"{what}: {', '.join(ids[:_NAMED])}{more}.")
    return {**answer, "message": " ".join(sentences)} if sentences else answer
