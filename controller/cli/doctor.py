"""`crossfade doctor`: what stands in the way of releases, and what would put it right."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from analysis.prometheus import Prometheus
from config.canary import KIND
from config.documents import documents
from config.load import load_canaries
from config.problems import SpecError, value_at
from config.settings import PREFIX, load_settings
from config.written import UNKNOWN_PRESET
from controller.cli.files import STDIN, texts
from controller.cli.get import DataFormat, as_data
from controller.cli.presets import known_presets
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError, Session
from controller.cli.visit import (
    Asking,
    Visit,
    ask_rights,
    find_account,
    read_definitions,
    whoami,
)
from controller.clock import SystemClock
from controller.doctor.case import Case
from controller.doctor.definitions import check_definitions
from controller.doctor.examine import examine
from controller.doctor.finding import Finding, Severity
from controller.doctor.report import CLUSTER, Line, as_document, as_lines, as_script, has_problems
from controller.doctor.rights import OF_APPLICATIONS, OF_GATEWAYS, OF_PEOPLE, Account, check_account
from controller.gloo.grants import Tenancy


CONTROLLER = "system:serviceaccount:crossfade:crossfade"
"""As the chart installs it under its own name."""

_COLOURS = {Severity.OK: "green", Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}

Progress = Callable[[str], None]


def doctor(  # noqa: PLR0913  # one parameter an option
    session: Session,
    name: Annotated[str | None, typer.Argument(help="The Canary; default: all.")] = None,
    *,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="Look at the Canaries of a file; - for standard input."
        ),
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")
    ] = False,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Prometheus answers; default: CROSSFADE_PROMETHEUS_URL."),
    ] = None,
    controller: Annotated[
        str, typer.Option("--as", metavar="USER", help="Whose rights the controller has.")
    ] = CONTROLLER,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print a script that puts it right, and the findings as errors.")
    ] = False,
    output: DataFormat = None,
) -> int:
    """Say what stands in the way of releases, with the cure.

    Reads the cluster and asks Prometheus; changes nothing, with --fix neither.
    0 nothing stands in the way, 1 it cannot be asked, 4 there are problems.
    """
    if fix and output is not None:
        raise CommandError("say --fix or --output, not both: as data each finding has its fix with it")
    wanted = _Wanted(name, file, None if all_namespaces else session.namespace)
    with _asking(prometheus) as asking, _progress() as tell:
        sections = _examined(session, wanted, asking, controller, tell)
    if output is not None:
        typer.echo(as_data(as_document(sections), output))
    else:
        _show(as_lines(sections, fixes=not fix), Console(stderr=True) if fix else session.console)
    if fix:
        typer.echo(as_script(sections), nl=False)
    return ExitCode.NEEDS_HUMAN if has_problems(sections) else ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which Canaries are meant."""

    name: str | None
    file: str | None
    namespace: str | None
    """None: all of them."""


@dataclass
class _Sections:
    """Findings as they come, and in which namespaces Canaries were looked at."""

    found: dict[str, list[Finding]] = field(default_factory=lambda: {CLUSTER: []})
    namespaces: list[str] = field(default_factory=list)


def _examined(
    session: Session, wanted: _Wanted, asking: Asking, controller: str, tell: Progress
) -> dict[str, list[Finding]]:
    tell("reading the cluster")
    sections = _Sections()
    sections.found[CLUSTER] += check_definitions(read_definitions(session.cluster))
    namespace = wanted.namespace if wanted.file is None else _only_namespace(wanted.file)
    now, tenancy = SystemClock().now(), _tenancy()
    with Visit(session.cluster, namespace, now, known_presets()) as visit:
        for heading, case in _cases(session, wanted, visit):
            if isinstance(case, Case):
                tell(f"asking about {case.key}")
                measured = asking.measure(case, now)
                known = replace(case, measured=measured, tenancy=tenancy)
                sections.found[heading] = list(examine(known))
                sections.namespaces.append(case.key.namespace)
            else:
                sections.found.setdefault(heading, []).append(case)
    tell("asking about rights")
    sections.found[CLUSTER] += _rights(session, controller, sections.namespaces)
    return sections.found


def _cases(session: Session, wanted: _Wanted, visit: Visit) -> Iterator[tuple[str, Case | Finding]]:
    """Give every Canary that is meant, or what is wrong with its spec."""
    if wanted.file is not None:
        yield from _of_file(wanted.file, wanted.name, visit)
        return
    if wanted.name is not None and wanted.namespace is not None:
        found = [session.canary(wanted.name)]
    else:
        listed, _ = session.canaries(wanted.namespace)
        found = [canary for canary in listed if wanted.name in (None, canary.key.name)]
    if not found:
        where = "in any namespace" if wanted.namespace is None else f"in namespace {wanted.namespace}"
        raise CommandError(f"no Canary {wanted.name or ''} {where}".replace("  ", " "))
    for canary in found:
        heading = f"{KIND} {canary.key}"
        try:
            yield heading, visit.stored(canary.document)
        except SpecError as error:
            yield from ((heading, finding) for finding in _invalid(heading, error, visit))


def _of_file(file: str, name: str | None, visit: Visit) -> Iterator[tuple[str, Case | Finding]]:
    count = 0
    for place, text in texts([file]):
        try:
            canaries = load_canaries(text, visit.templates(), visit.presets)
        except SpecError as error:
            count += 1
            yield from ((place, finding) for finding in _invalid(place, error, visit))
            continue
        for canary in canaries:
            if name in (None, canary.metadata.name):
                count += 1
                case = visit.written(canary, place)
                yield case.name, case
    if not count:
        raise CommandError(f"{file}: no Canary {name or ''}".rstrip())


def _invalid(about: str, error: SpecError, visit: Visit) -> Iterator[Finding]:
    """Say what is wrong with a spec; if its templates or presets are not known, that may be all."""
    for problem in error.errors:
        words, severity = str(problem), Severity.PROBLEM
        if visit.without_templates and "templateRef" in problem.path:
            words, severity = (
                f"{words}, but templates are not known: {visit.without_templates}",
                Severity.NOTE,
            )
        elif problem.message.startswith(UNKNOWN_PRESET) and visit.presets is None:
            severity = Severity.NOTE
        yield Finding("spec", severity, about, words)


def _only_namespace(file: str) -> str | None:
    """Give the namespace that all Canaries of a file are in; None if there are several."""
    if file == STDIN:
        return None  # it can be read once only
    try:
        read = [each for _, text in texts([file]) for each in documents(text, KIND.__eq__)]
    except SpecError:
        return None  # told when it is loaded
    canaries = [each for each in read if isinstance(each, dict) and each.get("kind") == KIND]
    named = [value_at(each, ("metadata", "namespace")) or "default" for each in canaries]
    found = {name if isinstance(name, str) else "" for name in named}
    return found.pop() if len(found) == 1 else None


def _tenancy() -> Tenancy:
    settings = load_settings()
    return Tenancy(frozenset(settings.reachable), strict=settings.tenancy == "strict")


def _rights(session: Session, controller: str, namespaces: Sequence[str]) -> Iterator[Finding]:
    where = list(dict.fromkeys(namespaces))
    people = Account(whoami(session.cluster), is_controller=False)
    yield from check_account(ask_rights(session.cluster, people, OF_PEOPLE, where))
    account = find_account(session.cluster, controller)
    if not account.unasked:
        account = ask_rights(session.cluster, account, OF_APPLICATIONS, where)
        account = ask_rights(session.cluster, account, OF_GATEWAYS, load_settings().gateways or [""])
    yield from check_account(account)


@contextlib.contextmanager
def _asking(url: str | None) -> Iterator[Asking]:
    settings = load_settings(prometheus_url=url)
    if settings.prometheus_url is None:
        yield Asking(None, f"say where Prometheus answers with --prometheus or {PREFIX}PROMETHEUS_URL")
        return
    access = settings.prometheus_access
    client = Prometheus(settings.prometheus_url, settings.prometheus_timeout, access=access)
    with contextlib.closing(client):
        yield Asking(client)


def _show(lines: Iterator[Line], console: Console) -> None:
    for line in lines:
        text = Text(line.text)
        if line.severity is not None:
            text.stylize(_COLOURS[line.severity], 2, 2 + len(line.severity))
        console.print(text, soft_wrap=True)


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Show what is being done, where somebody looks."""
    console = Console(stderr=True, no_color=True if os.environ.get("NO_COLOR") else None)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("reading the cluster") as status:
        yield status.update
