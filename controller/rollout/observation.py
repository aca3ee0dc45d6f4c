"""What a tick sees: one coherent snapshot, `now` included."""

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Literal

from analysis.survey import Survey
from analysis.verdict import Judgement


class Acceptance(enum.StrEnum):
    """What Gloo says of the routes that it was given."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    WARNING = "Warning"
    REJECTED = "Rejected"


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment that matches the Canary's selector, or an Upstream that stands for a version."""

    name: str
    version: str
    hash: str
    """Of its pod template as canonical JSON."""
    created_at: dt.datetime
    wanted: int
    """Replicas asked for."""
    ready: int
    """Ready pods of exactly this template."""
    counted: bool = True
    """`ready` is about the latest spec; if not, it is the count before somebody changed it just now."""
    kind: Literal["Deployment", "Upstream"] = "Deployment"


@dataclass(frozen=True, slots=True)
class Routes:
    """The managed routes of all objects named in the spec, taken together."""

    in_form: bool = False
    """They look as the recorded intent says."""
    version: str | None = None
    """The one version that all main routes are pinned to, if so."""
    unpinned: bool = False
    """At least one main route balances over all versions."""
    weight: int | None = None
    """The largest share that any main route gives the candidate, in percent; None if not told."""
    acceptance: Acceptance = Acceptance.PENDING
    acceptance_reason: str = ""
    """Gloo's own words."""
    kept: frozenset[str] = frozenset()
    """Versions that users' own routes are fixed to; they are not ours to change."""
    shape: str = ""
    """For people: `v1 75, v2 25`."""
    lacking: str = ""
    """Which Upstreams of ours are not there, or not what they should be; to be put right whatever else is."""
    waits_for: str = ""
    """What Gloo has to accept before the routes can be brought into form; empty if nothing."""
    leftover: frozenset[str] = frozenset()
    """Upstreams of ours that no version needs and no route names any more."""
    problem: str = ""
    """Why the routes cannot be managed, and what would be right; empty if they can."""
    own_shadowing: str = ""
    """Which main route has a shadowing that is not ours, and what would be right; empty if none has."""


class Do(enum.StrEnum):
    """What a human may order."""

    PROMOTE = "promote"
    PROMOTE_FULL = "promote-full"
    APPROVE = "approve"
    ABORT = "abort"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"


@dataclass(frozen=True, slots=True)
class Command:
    """An order, as written into the annotation `crossfade.dev/command`."""

    do: Do
    id: str
    by: str = "unknown"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that decide() may look at besides spec and status."""

    now: dt.datetime
    generation: int
    workloads: tuple[Workload, ...] = ()
    routes: Routes = Routes()
    command: Command | None = None
    problem: str = ""
    """Why nothing may rise: invalid spec, claims of another Canary, a cluster that cannot be read."""
    stopped: str = ""
    """By what all releases are stopped, and why: `by ConfigMap ops/stop: disk full`; empty: they are not."""
    survey: Survey | None = None
    """None: nobody looked at stable's past in this tick."""
    judgement: Judgement | None = None
    """None: the evidence was not weighed in this tick."""
    claimed_by: str = ""
    """An older Canary that manages the same routes or Deployments, and which: hands off."""
    deleting: bool = False
    """The Canary itself is being deleted."""
    finalizer: bool = False
    """Our finalizer is on the Canary."""
