"""`crossfade backtest`: the rule on traffic that has been, before it decides about any."""

import contextlib
import datetime as dt
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.backtest import LONGEST_WINDOW, Task
from analysis.backtest import backtest as tried
from analysis.lineage import NoHistoryError
from analysis.prometheus import Prometheus
from analysis.queries import Subject
from config.canary import Canary
from config.load import load_canaries
from config.problems import SpecError
from config.settings import load_settings
from controller.cli.files import STDIN
from controller.cli.findings import as_document, as_text
from controller.cli.get import DataFormat, as_data
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError, duration
from controller.clock import SystemClock
from controller.rehearsal.rehearse import soaks


_LEAST_TIMEOUT = dt.timedelta(minutes=1)
"""A day of the past takes longer to answer than a moment."""


def backtest(  # noqa: PLR0913  # as many as there are options
    *,
    file: Annotated[str, typer.Option("--file", "-f", help="With Canaries; - for standard input.")],
    name: Annotated[str | None, typer.Option(help="Which Canary of the file; default: the only one.")] = None,
    namespace: Annotated[
        str | None, typer.Option("--namespace", "-n", help="Of the application; default: the Canary's.")
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Where Prometheus answers; default: CROSSFADE_PROMETHEUS_URL.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far to look back.")] = "14d",
    until: Annotated[
        str | None, typer.Option(help="Where the past ends, like 2026-05-02T14:00; UTC; default: now.")
    ] = None,
    step: Annotated[
        str | None, typer.Option(help="Length of a window; default: the interval, longer for a long past.")
    ] = None,
    version_label: Annotated[
        str | None,
        typer.Option(help="Label of the series that names the version; default: as in the metrics."),
    ] = None,
    deployment: Annotated[
        str, typer.Option(help="How Deployments are named, for metrics that ask by {{ deployment }}.")
    ] = "{name}-{version}",
    output: DataFormat = None,
) -> int:
    """Say what a Canary would have done with past releases.

    Reads the past from Prometheus and judges it with the very code of the controller: which releases it
    would have rolled back, when and why, and how often it would have rolled back what was no worse than
    stable. Needs no cluster, and writes nothing.
    """
    canary = _canary(file, name)
    settings = load_settings(prometheus_url=prometheus)
    if settings.prometheus_url is None:
        raise typer.BadParameter("say --prometheus, or set CROSSFADE_PROMETHEUS_URL")
    end = SystemClock().now() if until is None else _time(until)
    where = namespace or canary.metadata.namespace
    upstream = canary.spec.upstream.name
    task = Task(
        canary.spec.analysis,
        soaks(canary.spec),
        Subject(canary.metadata.name, where, upstream, None, None, LONGEST_WINDOW),
        end - _span("--since", since),
        end,
        _span("--step", step) if step else None,
        version_label,
        deployment,
    )
    timeout = max(settings.prometheus_timeout, _LEAST_TIMEOUT)
    client = Prometheus(settings.prometheus_url, timeout, access=settings.prometheus_access)
    with contextlib.closing(client) as asked, _progress() as on_progress:
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


def _canary(file: str, name: str | None) -> Canary:
    try:
        text = (sys.stdin.buffer.read() if file == STDIN else Path(file).read_bytes()).decode()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not UTF-8 text") from error
    try:
        canaries = load_canaries(text)
    except SpecError as error:
        raise CommandError("\n".join(f"{file}:{problem}" for problem in error.errors)) from error
    chosen = [canary for canary in canaries if name in {None, canary.metadata.name}]
    if len(chosen) == 1:
        return chosen[0]
    known = ", ".join(canary.metadata.name for canary in canaries) or "none"
    raise CommandError(f"{file}: {'no such Canary' if name else 'say --name'}; there are: {known}")


def _span(option: str, text: str) -> dt.timedelta:
    span = duration(text)
    if span < dt.timedelta(seconds=1):
        raise typer.BadParameter(f"{option}: found {text}; at least 1s is needed")
    return span


def _time(text: str) -> dt.datetime:
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--until: found {text!r}; a time looks like 2026-05-02T14:00") from None
    return at if at.tzinfo else at.replace(tzinfo=dt.UTC)


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    """Show how far it is, where somebody looks."""
    console = Console(stderr=True)
    columns = (
        TextColumn("reading the past"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda share: progress.update(task, completed=share)
