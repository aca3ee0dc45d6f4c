"""Orders, as values: a tick carries out at most one of them."""

from dataclasses import dataclass

from config.canary import TestingMatch


@dataclass(frozen=True, slots=True)
class Form:
    """What every managed route should look like.

    Pinned: `Form("v1")`. Shadowing: `Form("v1", "v2", shadowing=10)`.
    Canary testing: `Form("v1", "v2", testing=...)`.
    Shifting: `Form("v1", "v2", weight=25, testing=...)`.
    """

    stable: str
    """The version that the main route leads to."""
    candidate: str | None = None
    weight: int | None = None
    """The candidate's share in percent; None for a single destination."""
    testing: tuple[TestingMatch, ...] = ()
    """Testing routes to the candidate, before the main route, in this order."""
    retired: tuple[TestingMatch, ...] = ()
    """Testing routes that we once wrote and that must not be there any more."""
    prepared: str | None = None
    """A version that no route leads to yet, but soon may: its Upstream, if it gets one, has to be ready."""
    shadowing: float | None = None
    """How many of the main routes' requests the candidate gets a copy of, in percent; None: none."""
    unshadowed: tuple[str, ...] = ()
    """Upstreams (`namespace/name`) that we once had requests copied to, and that must not get any more."""


@dataclass(frozen=True, slots=True)
class WriteRoutes:
    """Bring the routes into this form."""

    form: Form


@dataclass(frozen=True, slots=True)
class RemoveUpstreams:
    """Delete the Upstreams of ours that this form does not need and that no route names any more."""

    form: Form


@dataclass(frozen=True, slots=True)
class ScaleToZero:
    """Scale a Deployment to zero, unless it no longer runs `hash`."""

    deployment: str
    hash: str


@dataclass(frozen=True, slots=True)
class DeleteDeployment:
    """Delete a Deployment, unless it no longer runs `hash`."""

    deployment: str
    hash: str


@dataclass(frozen=True, slots=True)
class ClearCommand:
    """Take away a command that has been recorded."""

    id: str


@dataclass(frozen=True, slots=True)
class SetFinalizer:
    """Hold the Canary against deletion while traffic is divided, and let it go afterwards."""

    present: bool


Move = SetFinalizer | WriteRoutes | RemoveUpstreams | ScaleToZero | DeleteDeployment | ClearCommand
