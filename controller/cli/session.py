"""What every command that talks to a cluster shares: its flags, named like kubectl's, and its connection."""

import contextlib
import datetime as dt
import functools
import inspect
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console

from config.quantities import parse_duration
from controller.cli.reading import Canary, canary_of
from controller.errors import NotFound
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES


Name = Annotated[str | None, typer.Argument(help="The Canary; may be left out if there is only one.")]

_FLAGS = {
    "namespace": Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Namespace; default: the kubeconfig's."),
    ],
    "context": Annotated[str | None, typer.Option(metavar="NAME", help="Context of the kubeconfig.")],
    "kubeconfig": Annotated[str | None, typer.Option(metavar="FILE", help="Kubeconfig file.")],
    "no_color": Annotated[bool, typer.Option("--no-color", help="No colours; NO_COLOR does the same.")],
}


def duration(text: str, option: str = "") -> dt.timedelta:
    """Read the value of an option such as --timeout; name the option unless the parser of options does."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}" if option else str(error)) from None


class CommandError(Exception):
    """A command cannot do what it was asked to; the message says why and what to do."""


@dataclass(frozen=True)
class Session:
    """One command's connection and terminal."""

    cluster: Cluster
    namespace: str
    console: Console = field(default_factory=Console)

    def canaries(self, namespace: str | None) -> tuple[tuple[Canary, ...], str]:
        """List the Canaries of a namespace (None: of all), and the resourceVersion to watch from."""
        try:
            listing = self.cluster.list(CANARIES, namespace)
        except NotFound as error:
            raise CommandError(
                "this cluster does not know Canaries yet; teach it with: crossfade crd | kubectl apply -f -"
            ) from error
        canaries = sorted(map(canary_of, listing.documents), key=lambda canary: canary.key)
        return tuple(canaries), listing.resource_version

    def canary(self, name: str | None) -> Canary:
        """Give the Canary of this name, or the only one."""
        canaries, _ = self.canaries(self.namespace)
        chosen = [canary for canary in canaries if name in (None, canary.key.name)]
        if len(chosen) == 1:
            return chosen[0]
        known = ", ".join(canary.key.name for canary in canaries) or "none"
        missing = f"no Canary {name}" if name else "which Canary?" if canaries else "no Canary"
        raise CommandError(f"{missing} in namespace {self.namespace}; there are: {known}")


def with_session(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command kubectl's connection flags, and hand it the session that they describe."""

    @functools.wraps(command)
    def connected(**given: Any) -> int:  # noqa: ANN401  # options of any type
        flags = {name: given.pop(name) for name in _FLAGS}
        with _session(**flags) as session:
            return command(session, **given)

    own = list(inspect.signature(command).parameters.values())[1:]
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "no_color" else None,
            annotation=annotation,
        )
        for name, annotation in _FLAGS.items()
    ]
    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    connected.__signature__ = inspect.Signature([*keyword, *shared], return_annotation=int)  # type: ignore[attr-defined]
    connected.__annotations__ = {parameter.name: parameter.annotation for parameter in (*keyword, *shared)}
    return connected


@contextlib.contextmanager
def _session(
    namespace: str | None, context: str | None, kubeconfig: str | None, *, no_color: bool
) -> Iterator[Session]:
    plain = True if no_color or os.environ.get("NO_COLOR") else None
    cluster = Cluster.connect(kubeconfig, context, user_agent="crossfade-cli")
    with contextlib.closing(cluster):
        yield Session(
            cluster,
            namespace or cluster.namespace,
            Console(no_color=plain, highlight=False, markup=False, emoji=False),
        )
