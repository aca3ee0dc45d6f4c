"""`crossfade explain`: why a rollout was decided as it was, from the windows that are kept of it."""

import enum
import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.latency import worst
from analysis.ledger import Ledger, of_document, of_texts
from analysis.record import Record, UnreadableRecordError, number_of, said
from config.status import Verdict, load_status
from controller.cli.get import as_data
from controller.cli.grounds import (
    Case,
    Said,
    awaited,
    blind_spells,
    case_of,
    decided,
    grounds,
    kept,
    since_when,
)
from controller.cli.reading import Canary, ExitCode, printable
from controller.cli.session import CommandError, Name, Session, with_session
from controller.cli.windows import Windows
from controller.errors import EdgeError, NotFound
from controller.kube.archive import gathered, is_owned, name_for
from controller.kube.resources import CONFIG_MAPS
from controller.rollout.situation import soaked_at


LAST = 20
"""Windows that are shown below the words."""

_STYLES = {
    Verdict.SAFE: "green",
    Verdict.HARMFUL: "bold red",
    Verdict.UNDECIDED: "yellow",
    Verdict.BLIND: "magenta",
}


class Form(enum.StrEnum):
    """What to print."""

    JSON = "json"
    TABLE = "table"


def _explain(  # noqa: PLR0913  # one parameter an option
    session: Session,
    name: Name = None,
    *,
    metric: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only about this metric; default: all of them.")
    ] = None,
    output: Annotated[
        Form | None, typer.Option("--output", "-o", help="table: all windows; json: all there is.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write all that is kept into a file, for --replay.")
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Judge again what --save wrote, without a cluster; 1: it differs."),
    ] = None,
) -> int:
    """Say why a rollout was decided so, or what it waits for.

    Shows the grounds, metric by metric, and the windows.
    Every verdict is judged again from what was counted, and told if it comes out otherwise.
    """
    del replay  # carried out before there is a session
    canary = session.canary(name)
    ledger, troubles = _kept_of(session, canary)
    if ledger is None:
        for trouble in troubles:
            typer.echo(f"{canary.key}: {trouble}", err=True)
        typer.echo(f"{canary.key}: nothing has been judged yet: {printable(canary.sentence)}", err=True)
        return ExitCode.OK
    if save is not None:
        _save(ledger, save)
        return ExitCode.OK
    case = case_of(ledger, canary.status)
    _show(session.console, case, metric, output, title=str(canary.key), asides=troubles, canary=canary)
    return ExitCode.OK


_connected = with_session(_explain)


@functools.wraps(_connected)
def explain(**given: Any) -> int:  # noqa: ANN401  # options of any type
    """Ask the cluster, unless a file is to be judged again."""
    if (file := given["replay"]) is None:
        return _connected(**given)
    case = case_of(_read(file))
    console = Console(no_color=given["no_color"] or None, highlight=False, markup=False, emoji=False)
    if given["output"] is not None:
        _show(console, case, given["metric"], given["output"], title=case.version)
    for each in kept(case):
        typer.echo(
            printable(f"{each.about + ': ' if each.about else ''}{each.words}"),
            err=given["output"] is not None,
        )
    return ExitCode.ERROR if case.differing or case.trouble else ExitCode.OK


explain.__name__ = "explain"


def _kept_of(session: Session, canary: Canary) -> tuple[Ledger | None, list[str]]:
    """Give the windows that are stored and those in the status only, and what is wrong with them."""
    stored, troubles = None, []
    try:
        stored = _stored(session, canary)
    except (EdgeError, UnreadableRecordError) as error:
        troubles.append(f"the windows kept beside the Canary cannot be read: {error}")
    raw = canary.document.get("status")
    status = load_status(raw)
    known = replace(status, observed_spec=status.observed_spec or canary.document.get("spec"))
    if status.windows and status.started_at is not None:
        try:
            return gathered(stored, known), troubles
        except UnreadableRecordError as error:
            troubles.append(f"the windows in the Canary's status cannot be read: {error}")
    if stored is not None and status.started_at is not None and not canary.at_rest:
        begun = stored.rollout["startedAt"]
        if begun != status.started_at.isoformat():
            troubles.append("nothing has been judged of this rollout yet; below is the one before")
    return stored, troubles


def _stored(session: Session, canary: Canary) -> Ledger | None:
    name = name_for(canary.key.name)
    try:
        document = session.cluster.read(CONFIG_MAPS, canary.key.namespace, name)
    except NotFound:
        return None
    if not is_owned(document, canary.metadata["uid"]):
        raise UnreadableRecordError(f"ConfigMap {name} does not belong to this Canary")
    return of_texts(document.get("data") or {})


def _read(file: Path) -> Ledger:
    try:
        return of_document(json.loads(file.read_text()))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{file}: {error}") from error


def _save(ledger: Ledger, file: Path) -> None:
    try:
        file.write_text(json.dumps(ledger.document(), indent=1) + "\n")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
    typer.echo(f"{len(ledger.windows)} windows written to {file}")


def _show(  # noqa: PLR0913  # all that is known
    console: Console,
    case: Case,
    metric: str | None,
    output: Form | None,
    *,
    title: str,
    asides: Iterable[str] = (),
    canary: Canary | None = None,
) -> None:
    known = [each.name for each in case.metrics]
    if metric is not None and metric not in known:
        raise CommandError(f"no metric {metric}; there are: {', '.join(known) or 'none'}")
    match output:
        case Form.JSON:
            typer.echo(as_data(_document(case, title, list(asides)), "json"))
        case Form.TABLE:
            console.print(_windows(case, metric, case.ledger.windows))
        case None:
            console.print(_screen(case, metric, title, asides, canary))


def _screen(
    case: Case, metric: str | None, title: str, asides: Iterable[str], canary: Canary | None
) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{title}  {case.version}, begun {case.begun}", "bold")]
    said_first = [
        *(Said("note", aside, Verdict.BLIND) for aside in asides),
        *decided(case),
        *_awaited(case, canary),
    ]
    parts.append(_sentences([*said_first, *blind_spells(case.ledger.windows)]))
    for each in case.metrics:
        if metric in (None, each.name):
            about = [*grounds(each, case.analysis), *since_when(each.name, case.ledger.windows)]
            parts.append(_sentences(about))
    windows = case.ledger.windows
    if windows:
        of = f"the last {LAST} of {len(windows)}; all: -o table" if len(windows) > LAST else "UTC"
        parts.append(Text(f"windows of {metric or case.leading} ({of})", "dim"))
        parts.append(_windows(case, metric, windows[-LAST:]))
    parts.append(_sentences(list(kept(case))))
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))


def _awaited(case: Case, canary: Canary | None) -> Iterator[Said]:
    if canary is None or case.status is None:
        return
    soaked = soaked_at(canary.spec, case.status) if canary.spec else None
    yield from awaited(case, case.status, soaked)


def _sentences(sentences: Iterable[Said]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=len("against stable"))
    grid.add_column(overflow="fold")
    for about, words, verdict in sentences:
        grid.add_row(printable(about), Text(printable(words), _STYLES[verdict] if verdict else ""))
    return grid


def _windows(case: Case, metric: str | None, windows: Sequence[Record]) -> Windows:
    name = metric or case.leading
    tests = next((each.tests for each in case.metrics if each.name == name), None)
    bound = worst(tests.comparisons).bound if tests and tests.comparisons else None
    return Windows(windows, name, bound, case.differing)


def _document(case: Case, title: str, asides: list[str]) -> dict[str, Any]:
    """Give everything as data: what is kept, and what comes out if it is judged again."""
    again = {number_of(each.record): each for each in case.replayed}
    windows = [
        {
            **window,
            "again": said(again[number_of(window)].judgement),
            "differs": again[number_of(window)].differs,
        }
        if number_of(window) in again
        else window
        for window in case.ledger.windows
    ]
    return {
        "canary": title,
        "decided": [each._asdict() for each in decided(case)],
        "notes": asides,
        "trouble": case.trouble,
        "agrees": not case.differing and not case.trouble,
        **case.ledger.document(),
        "windows": windows,
    }
