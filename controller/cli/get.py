"""`crossfade get` and `crossfade history`: what kubectl would show, and what it would not."""

import enum
import json
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer
import yaml

from controller.cli.reading import Canary, canary_of
from controller.cli.session import Name, Session
from controller.cli.stop import stopped
from controller.cli.tables import canary_row, history_row, table
from controller.clock import SystemClock
from controller.errors import Unavailable
from controller.kube.answers import Expired
from controller.kube.resources import CANARIES, Document


class Output(enum.StrEnum):
    """Formats of kubectl."""

    JSON = "json"
    YAML = "yaml"
    WIDE = "wide"
    NAME = "name"


class Data(enum.StrEnum):
    """Formats for programs."""

    JSON = "json"
    YAML = "yaml"


Format = Annotated[Output | None, typer.Option("--output", "-o", help="How to print.")]
DataFormat = Annotated[Data | None, typer.Option("--output", "-o", help="Print as data.")]


def get(
    session: Session,
    name: Annotated[str | None, typer.Argument(help="The Canary; default: all.")] = None,
    *,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Of all namespaces.")
    ] = False,
    output: Format = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on with every change.")] = False,
) -> int:
    """List Canaries with phase, weight, verdict and the reason for it."""
    namespace = None if all_namespaces else session.namespace
    canaries, version = session.canaries(namespace)
    if name is not None and not watch:
        canaries = (session.canary(name),) if namespace else tuple(c for c in canaries if c.key.name == name)
    elif name is not None:
        canaries = tuple(canary for canary in canaries if canary.key.name == name)
    listing = _Listing(session, output, single=name is not None, namespaces=all_namespaces)
    if output in (None, Output.WIDE) and (words := stopped(session)):
        typer.echo(words, err=True)
    if not canaries and output in (None, Output.WIDE) and not watch:
        where = "in any namespace" if namespace is None else f"in namespace {namespace}"
        typer.echo(f"no Canaries {where}", err=True)
        return 0
    listing.show(canaries)
    while watch:
        version = listing.follow(namespace, name, version)
    return 0


def history(session: Session, name: Name = None, *, output: DataFormat = None) -> int:
    """Tell how the last rollouts of a Canary ended, and why."""
    canary = session.canary(name)
    if output is not None:
        typer.echo(as_data((canary.document.get("status") or {}).get("history") or [], output))
        return 0
    if not canary.status.history:
        typer.echo(f"{canary.key}: no rollout has ended yet", err=True)
        return 0
    rows = [history_row(entry, SystemClock().now()) for entry in canary.status.history]
    lines, _ = table([list(rows[0]), *(list(row.values()) for row in rows)])
    typer.echo("\n".join(lines))
    return 0


def as_data(value: object, output: str) -> str:
    """Write plain data as JSON or YAML."""
    if output == "json":
        return json.dumps(value, indent=2, ensure_ascii=False)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True).rstrip()


def without_bookkeeping(document: Document) -> Document:
    """Leave out what kubectl does not show either: which field was written by whom."""
    kept = {name: value for name, value in document["metadata"].items() if name != "managedFields"}
    return {**document, "metadata": kept}


class _Listing:
    def __init__(self, session: Session, output: Output | None, *, single: bool, namespaces: bool) -> None:
        self._session = session
        self._output = output
        self._single = single
        self._namespaces = namespaces
        self._widths: list[int] = []
        self._known: dict[tuple[str, str], Document] = {}

    def show(self, canaries: Sequence[Canary]) -> None:
        self._known |= {canary.key: canary.document for canary in canaries}
        match self._output:
            case Output.JSON | Output.YAML as output:
                documents = [without_bookkeeping(canary.document) for canary in canaries]
                whole = {"apiVersion": "v1", "kind": "List", "items": documents}
                typer.echo(as_data(documents[0] if self._single and documents else whole, output))
            case Output.NAME:
                for canary in canaries:
                    typer.echo(f"canary.crossfade.dev/{canary.key.name}")
            case _:
                self._rows(canaries)

    def follow(self, namespace: str | None, name: str | None, version: str) -> str:
        """Print changes until the watch ends; give the resourceVersion to go on from."""
        try:
            for change in self._session.cluster.watch(CANARIES, namespace, name, resource_version=version):
                version = change.document["metadata"]["resourceVersion"]
                if change.type in ("ADDED", "MODIFIED"):
                    self.show([canary_of(change.document)])
        except (Expired, Unavailable):
            canaries, version = self._session.canaries(namespace)
            changed = [each for each in canaries if self._known.get(each.key) != each.document]
            self.show([canary for canary in changed if name in (None, canary.key.name)])
        return version

    def _rows(self, canaries: Iterable[Canary]) -> None:
        now, wide = SystemClock().now(), self._output is Output.WIDE
        rows = [canary_row(canary, now, wide=wide) for canary in canaries]
        for row in rows:
            if not self._namespaces:
                row.pop("NAMESPACE")
        header = [list(rows[0])] if rows and not self._widths else []
        lines, self._widths = table([*header, *(list(row.values()) for row in rows)], least=self._widths)
        for printed in lines:
            typer.echo(printed)
