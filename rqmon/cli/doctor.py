"""Commands that say what is wrong in the whole system, and what one job waits for or ended of."""

import json
import os
import shutil
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict

import click

from rqmon.doctor.diagnosis import Diagnosis, diagnose, impatient
from rqmon.doctor.finding import Severity
from rqmon.doctor.remedies import export_address, needs_address
from rqmon.stack import runs
from rqmon.stack.environment import StackConfig
from rqmon.terminal import printable, say, shortened
from rqmon.why import lookup
from rqmon.why.answers import answer
from scheduler import Settings
from scheduler.config import DEFAULT_REDIS_URL

_COLORS = {Severity.BROKEN: "red", Severity.WARNING: "yellow"}
_WIDEST = 100
_INDENT = "  "


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@_json
@click.pass_obj
def doctor(environ: Mapping[str, str] | None, *, as_json: bool) -> None:
    """Say what is wrong, why, and which command mends it; the most serious first.

    Exits with 0 when all is well, with 1 for warnings, with 2 when something is broken.
    """
    found = diagnose(Settings.from_env(), StackConfig.from_env())
    if as_json:
        findings = [{**asdict(it), "severity": it.severity.name.lower()} for it in found.findings]
        click.echo(json.dumps({**asdict(found), "findings": findings}))
    else:
        _show(found)
        _say_where_redis_is((text for it in found.findings for text in (it.cause, it.command)), environ)
        click.echo(_paragraph(f"{_verdict(found)} Looked at {found.looked_at} in {found.seconds:.1f} s."))
    raise SystemExit(max((it.severity for it in found.findings), default=0))


@click.command()
@click.argument("job_id")
@_json
@click.pass_obj
def why(environ: Mapping[str, str] | None, *, job_id: str, as_json: bool) -> None:
    """Say what a job waits for, or why it ended as it did, and what to do next.

    Exits with 0 when there is such a job, with 2 when there is none, or no Redis.
    """
    settings = Settings.from_env()
    with impatient(settings.redis_url) as connection:
        has_stack = runs.recall(StackConfig.from_env()) is not None
        job = lookup.take(connection, job_id, serializer=settings.serializer, has_stack=has_stack)
    found = answer(job)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        state = f"  {found.status} in {shortened(found.queue)}" if found.status else ""
        click.secho(printable(f"{found.id}{state}"), bold=True)
        for sentence in filter(None, (found.answer, *found.details, shortened(found.description))):
            click.echo(_paragraph(sentence, before=_INDENT))
        if found.command:
            click.echo(_command_line(found.command))
            _say_where_redis_is([found.command], environ)
    if not found.status:
        raise SystemExit(2)


def _paragraph(text: str, *, before: str = "") -> str:
    """A text from anywhere in lines of the terminal's width, or of 80 characters, after what is `before`."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    lines = textwrap.wrap(
        printable(text),
        width,
        initial_indent=" " * len(click.unstyle(before)),
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return before + "\n".join(lines).lstrip()


def _command_line(command: str) -> str:
    """A command to copy, in one line however long it is."""
    return _INDENT + click.style(f"$ {printable(command)}", bold=True)


def _say_where_redis_is(texts: Iterable[str], environ: Mapping[str, str] | None) -> None:
    """Say how RQ's own commands learn the address, if the shell does not have it."""
    given = os.environ if environ is None else environ
    if given.get("RQ_REDIS_URL") or not any(map(needs_address, texts)):
        return
    first = f"export RQ_REDIS_URL={DEFAULT_REDIS_URL}"
    if os.environ.get("RQ_REDIS_URL"):  # `.env` has it
        first = export_address(given.get("RQMON_ENV_FILE", ""))
    say(f"First, for commands of rq: {first}")


def _show(found: Diagnosis) -> None:
    for finding in found.findings:
        label = click.style(f"{finding.severity.name:<7}", fg=_COLORS[finding.severity], bold=True)
        click.echo(_paragraph(finding.fact, before=f"{label}  "))
        click.echo(_paragraph(finding.cause, before=_INDENT))
        if finding.command:
            click.echo(_command_line(finding.command))
        click.echo()
    for what in found.unknown:
        click.echo(_paragraph(f"Unknown: {what}."))


def _verdict(found: Diagnosis) -> str:
    if not found.findings:
        return "Nothing wrong was found." if found.unknown else "All is well."
    broken = sum(it.severity == Severity.BROKEN for it in found.findings)
    warnings = len(found.findings) - broken
    return f"{broken} broken, {warnings} {'warning' if warnings == 1 else 'warnings'}."
