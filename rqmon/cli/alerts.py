"""Commands about alerts: what fires, what was told, a test of the path, and what the past would have told."""

import re
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import click

from rqmon.alerting.app import PATH
from rqmon.alerting.backtest import STEP_SECONDS, backtest
from rqmon.alerting.client import Server
from rqmon.alerting.delivery import LOG, Path, rules_arrive, send_test
from rqmon.alerting.firing import Answer, firing
from rqmon.cli.cron_tables import cell, foreign, new_table, show, to_json
from rqmon.stack.environment import StackConfig
from rqmon.stack.receivers import TEST_ALERT, WATCHDOG_URL, integrations
from rqmon.stack.services import ALERT_LOG, ALERTMANAGER, PROMETHEUS
from rqmon.terminal import say
from scheduler.errors import SchedulerError

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_SECONDS = 366 * 86400


@click.group("alerts", invoke_without_command=True)
@_json
@click.pass_context
def alerts(context: click.Context, *, as_json: bool) -> None:
    """Show what fires; exit with 1 if something does, or if alerts are not evaluated or not sent."""
    if context.invoked_subcommand:
        return
    path = _path(StackConfig.from_env())
    found = firing(path.prometheus, path.alertmanager)
    if as_json:
        click.echo(
            to_json(
                {
                    "alerts": [asdict(it) for it in found.firing],
                    "pending": [asdict(it) for it in found.pending],
                    "problems": found.problems,
                }
            )
        )
    else:
        _print(found)
    if found.firing or found.problems:
        raise SystemExit(1)


@alerts.command()
@click.option(
    "--timeout",
    "timeout_seconds",
    type=click.IntRange(1, 600),
    default=30,
    show_default=True,
    help="How many seconds to wait for each receiver.",
)
@_json
def test(*, timeout_seconds: int, as_json: bool) -> None:
    """Send a test alert to every receiver, the pager too; exit with 1 unless each has it."""
    config = StackConfig.from_env()
    path = _path(config)
    say_waiting = partial(say, err=True)
    problem = rules_arrive(path, tell=say_waiting)
    deliveries = send_test(
        path,
        name=TEST_ALERT,
        integrations=integrations(config.variables, log=LOG),
        has_switch=bool(config.variables.get(WATCHDOG_URL, "").strip()),
        timeout_seconds=timeout_seconds,
        tell=say_waiting,
    )
    if as_json:
        click.echo(to_json({"problem": problem, "receivers": [asdict(it) for it in deliveries]}))
    else:
        say(problem or "Prometheus evaluates the rules, and Alertmanager has what it finds.")
        for it in deliveries:
            say(f"{it.receiver}: {it.problem or f'delivered after {it.seconds:.1f} s'}")
    if problem or any(it.problem for it in deliveries):
        raise SystemExit(1)


@alerts.command("log")
@click.option("--lines", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many.")
@_json
def log(*, lines: int, as_json: bool) -> None:
    """Show the alerts that were sent while `.env` named no receiver."""
    config = StackConfig.from_env()
    told = _path(config).log.get(f"{PATH}?last={lines}")
    if as_json:
        click.echo(to_json(told))
        return
    for record in told:
        at = datetime.fromisoformat(record["received_at"]).astimezone(UTC)
        for alert in record["alerts"]:
            labels, annotations = alert["labels"], alert["annotations"]
            words = (
                f"{at:%Y-%m-%d %H:%M:%S} {alert['status']} {labels.get('severity', '')}",
                labels.get("alertname", ""),
                labels.get("queue", ""),
                annotations.get("summary", ""),
                annotations.get("runbook_url", ""),
            )
            say("  ".join(foreign(word) for word in words if word))
        if record["left_out"]:
            say(f"{at:%Y-%m-%d %H:%M:%S} and {record['left_out']} more")
    ways = integrations(config.variables, log=LOG)
    if not told:
        say("This log is empty: no alert was sent to it yet." if LOG in ways else "This log is empty.")
    if LOG not in ways:
        say(f"Alerts go to {', '.join(ways)} now, and not to this log.")


@alerts.command("backtest")
@click.option("--since", default="7d", show_default=True, help="How far back: 30m, 12h, 7d or 2w.")
@_json
def backtest_(*, since: str, as_json: bool) -> None:
    """Show how often each alert would have fired, by what Prometheus has recorded; the noisiest first."""
    result = backtest(_path(StackConfig.from_env()).prometheus, since_seconds=_seconds(since))
    if as_json:
        click.echo(to_json(asdict(result)))
        return
    table = new_table("alert", "severity", "times", "in all", "longest", "series")
    for it in result.alerts:
        if it.times:
            lengths = (_for(it.seconds), _for(it.longest_seconds))
            row = (it.name, it.severity, str(it.times), *lengths, str(it.series))
            table.add_row(*(cell(foreign(word)) for word in row))
    if table.rows:
        show(table)
    fired = sum(it.times > 0 for it in result.alerts) or "None"
    say(f"{fired} of {len(result.alerts)} alerts would have fired, seen in steps of {STEP_SECONDS} s.")
    for line in result.failed:
        say(f"Not known: {line}")
    if result.recorded_seconds < result.asked_seconds:
        say(f"Prometheus ran for {_for(result.recorded_seconds)} of these {_for(result.asked_seconds)}.")
    if result.rules_seconds < result.recorded_seconds:
        say(f"Most alerts need recorded series, which exist for only {_for(result.rules_seconds)}.")


def _path(config: StackConfig) -> Path:
    config.check()
    return Path(
        prometheus=Server("Prometheus", PROMETHEUS.address(config)),
        alertmanager=Server("Alertmanager", ALERTMANAGER.address(config)),
        log=Server("The log of alerts", ALERT_LOG.address(config)),
    )


def _print(found: Answer) -> None:
    table = new_table("alert", "severity", "since", "queue", "what", wraps="what")
    for it in found.firing:
        about = "" if it.told == "told" else f"\n({it.told})"
        what = f"{foreign(it.summary)}{about}\n{foreign(it.runbook)}"
        words = (it.name, it.severity, _since(it.since), it.queue or it.about)
        table.add_row(*(cell(foreign(word)) for word in words), cell(what))
    if found.firing:
        show(table)
    for problem in found.problems:
        say(f"{problem[:1].upper()}{problem[1:]}.")
    if not found.firing and not found.problems:
        say("Nothing fires.")
    for it in found.pending:
        what = " ".join(foreign(word) for word in (it.name, it.queue, it.about) if word)
        seconds = (datetime.now(UTC) - it.since).total_seconds()
        say(f"Pending, not sent yet: {what}, for {_for(seconds)}.")


def _since(moment: datetime) -> str:
    return f"{moment:%d %b %H:%M:%S} UTC ({_for((datetime.now(UTC) - moment).total_seconds())})"


def _for(seconds: float) -> str:
    for unit, size_seconds in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size_seconds:
            return f"{seconds / size_seconds:.1f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def _seconds(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise SchedulerError(f"--since is {text!r}: use 30m, 12h, 7d or 2w, up to a year")
    return seconds
