"""What a tick needs from the world, as Protocols. Every method may raise `controller.errors.EdgeError`."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from analysis.queries import Query
from analysis.samples import Answer, History
from config.canary import CanarySpec
from config.presets import Presets
from config.status import Status
from controller.report import Event
from controller.rollout.moves import Form
from controller.rollout.observation import Routes, Workload


ANNOTATION = "crossfade.dev/command"
"""Holds an order to the controller: JSON with do, by, reason and id."""
FINALIZER = "crossfade.dev/routes"
"""Keeps a deleted Canary until its routes are left to stable."""


class Key(NamedTuple):
    """The name of a Canary; all that a scheduled job carries."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Show as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class CanaryObject:
    """A Canary as the cluster holds it, not yet validated."""

    key: Key
    uid: str
    resource_version: str
    generation: int
    created_at: dt.datetime
    annotations: Mapping[str, str]
    finalizers: tuple[str, ...]
    deleting: bool
    spec: Mapping[str, Any]
    status: Mapping[str, Any]


class Canaries(Protocol):
    """The Canaries, read from a watch."""

    def get(self, key: Key) -> CanaryObject | None:
        """Give the Canary as last seen; no request is made."""
        ...

    def all(self) -> Sequence[CanaryObject]:
        """Give all Canaries as last seen; no request is made."""
        ...

    def rivals(self, canary: CanaryObject) -> Sequence[CanaryObject]:
        """Give the Canaries that may want something that this one wants; no request is made."""
        ...

    def refresh(self, key: Key) -> CanaryObject | None:
        """Ask the API server itself: one read."""
        ...

    def record(self, canary: CanaryObject, status: Status) -> CanaryObject:
        """Write the status under the resourceVersion of `canary`; Conflict if it moved."""
        ...

    def clear_command(self, canary: CanaryObject, command_id: str) -> None:
        """Remove the command annotation if it still holds this command."""
        ...

    def set_finalizer(self, canary: CanaryObject, *, present: bool) -> CanaryObject:
        """Add or remove our finalizer."""
        ...


class Workloads(Protocol):
    """The Deployments, read from a watch."""

    def find(self, namespace: str, spec: CanarySpec) -> tuple[Workload, ...]:
        """Give the Deployments that the selector picks; no request is made."""
        ...

    def scale_to_zero(self, namespace: str, name: str, template_hash: str) -> None:
        """Scale down unless the template is another one by now (then do nothing)."""
        ...

    def delete(self, namespace: str, name: str, template_hash: str) -> None:
        """Delete unless the template is another one by now; absent is done."""
        ...


class RouteObjects(Protocol):
    """Gloo's objects, read from a watch and patched."""

    def of(self, namespace: str) -> "RouteObjects":
        """Give them as the Canaries of a namespace may see and move them; no request is made."""
        ...

    def see(self, spec: CanarySpec, form: Form | None) -> Routes:
        """Compare the routes with a form; no request is made. `form` None: only say what is there."""
        ...

    def write(self, spec: CanarySpec, form: Form, still_meant: Callable[[], None] = ...) -> None:
        """Patch every object that is not in this form: one request each, none if all are.

        Where the routes were changed in the meantime, and a patch has to be made anew,
        `still_meant` is called first: it raises Conflict if the form is no longer what
        the Canary records.

        Raises:
            Conflict: somebody changed the very routes that the patch is about.
            Refused: the API server or a webhook said no; the message is theirs.

        """
        ...

    def remove(self, spec: CanarySpec, form: Form) -> None:
        """Delete the Upstreams of ours that this form does not need and that no route names any more."""
        ...


class Evidence(Protocol):
    """Prometheus. What failed is a Failure in the answer."""

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        """Evaluate all queries at one timestamp, and give it; whoever asks meanwhile shares the request."""
        ...

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        """Evaluate all queries at this timestamp, in one request."""
        ...

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        """Evaluate all queries at start, start + step, ... up to end."""
        ...


class Archive(Protocol):
    """Where the windows of a rollout are kept for `explain`, beside the Canary; bounded in size."""

    def save(self, canary: CanaryObject, status: Status) -> None:
        """Store `status.windows` that are not stored yet; nothing is lost if it is called again."""
        ...


class Templates(Protocol):
    """The MetricTemplates, read from a watch."""

    def of(self, namespace: str) -> Mapping[str, Mapping[str, Any]]:
        """Give the specs of all templates of a namespace by name; no request is made."""
        ...


class KnownPresets(Protocol):
    """The platform's presets, of the controller's settings."""

    def presets(self) -> Presets:
        """Give those that are in force now, besides the built-in ones; no request is made."""
        ...


class NoPresets:
    """Implements `KnownPresets` where the built-in ones are all there are."""

    def presets(self) -> Presets:
        """Give none."""
        return {}


class Line(Protocol):
    """What stops all releases of the cluster at once."""

    def stopped(self) -> str:
        """Say by what they are stopped and why, as `by ConfigMap ops/stop: disk full`; empty: they are not.

        No request is made, and no error raised: what cannot be seen counts as stopped.
        """
        ...


class Free:
    """Implements `Line` where nothing was named that could stop it."""

    def stopped(self) -> str:
        """Say that they are not."""
        return ""


class Tracing(Protocol):
    """Tells whoever collects it how long the parts of a tick took."""

    def span(self, name: str) -> AbstractContextManager[object]:
        """Time what is done inside of `with`; waits for nobody."""
        ...


class Untraced:
    """Implements `Tracing` where nobody collects it."""

    def span(self, name: str) -> AbstractContextManager[object]:  # noqa: ARG002  # as the port has it
        """Time nothing."""
        return nullcontext()


class Events(Protocol):
    """Kubernetes events; losing one is never an error."""

    def publish(self, canary: CanaryObject, event: Event) -> None:
        """Write one event about the Canary."""
        ...


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> dt.datetime:
        """Give the current time, aware, in UTC."""
        ...
