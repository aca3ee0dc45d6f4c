"""Orders, as values: a tick carries out at most one of them."""

from dataclasses import dataclass

from config.canary import TestingMatch


@dataclass(frozen=True, slots=True)
class Form:
    """What every managed route should look like.

    Pinned: `Form("v1")`. Canary testing: `Form("v1", "v2", testing=...)`.
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


@dataclass(frozen=True, slots=True)
class WriteRoutes:
    """Bring the routes into this form."""

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


Move = SetFinalizer | WriteRoutes | ScaleToZero | DeleteDeployment | ClearCommand
