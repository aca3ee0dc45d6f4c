"""`crossfade backtest`: the rule on traffic that has been, before it decides about any."""

import contextlib
import datetime as dt
from typing import Annotated

import typer

from analysis.backtest import LONGEST_WINDOW, Task
from analysis.backtest import backtest as tried
from analysis.lineage import NoHistoryError
from analysis.prometheus import Prometheus
from analysis.queries import Subject
from config.settings import load_settings
from controller.cli.files import canary_in
from controller.cli.findings import as_document, as_text
from controller.cli.get import DataFormat, as_data
from controller.cli.progress import progress
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError, duration
from controller.clock import SystemClock
from controller.rehearsal.rehearse import soaks


_LEAST_TIMEOUT = dt.timedelta(minutes=1)
"""A day of the past takes longer to answer than a moment."""


def backtest(  # noqa: PLR0913  # as many as there are options
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", metavar="FILE", help="With Canaries; - for standard input.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which Canary of the file; default: the only one.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Of the application; default: the Canary's."),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Prometheus answers; default: CROSSFADE_PROMETHEUS_URL."),
    ] = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far to look back.")] = "14d",
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Where the past ends, like 2026-05-02T14:00; UTC; default: now."),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="Length of a window; default: the interval, longer for a long past."
        ),
    ] = None,
    version_label: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL", help="Label of the series that names the version; default: as in the metrics."
        ),
    ] = None,
    deployment: Annotated[
        str,
        typer.Option(
            metavar="PATTERN", help="How Deployments are named, for metrics that ask by {{ deployment }}."
        ),
    ] = "{name}-{version}",
    output: DataFormat = None,
) -> int:
    """Say what a Canary would have done with past releases.

    Reads the past from Prometheus and judges it with the very code of the controller: which releases it
    would have rolled back, when and why, and how often it would have rolled back what was no worse than
    stable. Needs no cluster, and writes nothing.
    """
    canary = canary_in(file, name)
    settings = load_settings(prometheus_url=prometheus)
    if settings.prometheus_url is None:
        raise typer.BadParameter("say --prometheus, or set CROSSFADE_PROMETHEUS_URL")
    end = SystemClock().now() if until is None else _time(until)
    where = namespace or canary.metadata.namespace
    upstream = canary.spec.upstream.name
    task = Task(
        canary.spec.analysis,
        soaks(canary.spec),
        Subject(
            canary.metadata.name,
            where,
            upstream,
            None,
            None,
            LONGEST_WINDOW,
            cluster_of=canary.spec.cluster_of,
        ),
        end - _span("--since", since),
        end,
        _span("--step", step) if step else None,
        version_label,
        deployment,
    )
    timeout = max(settings.prometheus_timeout, _LEAST_TIMEOUT)
    client = Prometheus(settings.prometheus_url, timeout, access=settings.prometheus_access)
    with contextlib.closing(client) as asked, progress("reading the past") as on_progress:
        try:
            found = tried(asked, task, on_progress)
        except NoHistoryError as error:
            raise CommandError(str(error)) from error
    known_as = f"{where}/{canary.metadata.name}"
    if output is not None:
        typer.echo(as_data(as_document(known_as, found), output))
    else:
        typer.echo(as_text(known_as, found))
    return ExitCode.OK


def _span(option: str, text: str) -> dt.timedelta:
    span = duration(text, option)
    if span < dt.timedelta(seconds=1):
        raise typer.BadParameter(f"{option}: found {text}; at least 1s is needed")
    return span


def _time(text: str) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--until: found {text!r}; a time looks like 2026-05-02T14:00") from None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)
