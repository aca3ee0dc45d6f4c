"""The status of a Canary: what the controller remembers and what people read are the same thing.

A controller that starts after a crash knows nothing but this. Every field is
plain data, so that `decide()` works on it without knowing Kubernetes.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from config.canary import TestingMatch


class Phase(enum.StrEnum):
    """What is intended. Promoted and RolledBack are set only when seen on the routes."""

    PREPARING = "Preparing"
    IDLE = "Idle"
    SHADOWING = "Shadowing"
    TESTING = "Testing"
    SHIFTING = "Shifting"
    BAKING = "Baking"
    FINISHING = "Finishing"
    PROMOTED = "Promoted"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"


class Verdict(enum.StrEnum):
    """What the evidence says about the candidate."""

    HARMFUL = "Harmful"
    SAFE = "Safe"
    UNDECIDED = "Undecided"
    BLIND = "Blind"


class HeldReason(enum.StrEnum):
    """Why the weight is not rising although a rollout is under way."""

    AWAITING_APPROVAL = "AwaitingApproval"
    PAUSED = "Paused"
    BLIND = "Blind"
    TOO_FEW_REQUESTS = "TooFewRequests"
    OUT_OF_BOUNDS = "OutOfBounds"
    SPLIT_MISMATCH = "SplitMismatch"
    DRIFT = "Drift"
    NOT_ACCEPTED = "NotAccepted"
    NOT_READY = "NotReady"
    OUTSIDE_SCHEDULE = "OutsideSchedule"
    STOPPED = "Stopped"
    STALLED = "Stalled"


class Outcome(enum.StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    CANCELLED = "Cancelled"
    SUPERSEDED = "Superseded"


_JSON = ConfigDict(
    alias_generator=to_camel,
    validate_by_name=True,
    validate_by_alias=True,
    extra="ignore",
    use_attribute_docstrings=True,
)


class Hurry(enum.StrEnum):
    """How far a human asked to go without waiting."""

    NO = "No"
    STEP = "Step"
    FULL = "Full"


@dataclass(frozen=True, slots=True)
class Revision:
    """A version together with exactly what runs under its name."""

    version: str
    hash: str
    """Of the Deployment's pod template, as the API server stores it."""
    deployment: str

    def __str__(self) -> str:
        """Show as `v2 (1a2b3c4d)`."""
        return f"{self.version} ({self.hash[:8]})"


@dataclass(frozen=True, slots=True)
class Held:
    """A rollout that waits, and what for."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    reason: HeldReason
    message: str
    since: dt.datetime
    needs_human: bool = False
    """Waiting alone will not end it."""


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Sums over windows of stable's requests: how unevenly its bad ones come."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    windows: int = 0
    """With at least one request."""
    requests: int = 0
    bad: int = 0
    squares: float = 0.0
    """Sum of bad * bad / requests."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate against stable since the rollout began, for one meaning of "bad"."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    bound: float | None = None
    """Bad is slower than this, in seconds; None: bad is what the ratio's own expression says."""
    harm: tuple[float, ...] = ()
    """Logarithms of the bets of the ratio test and of their reserve; empty: nothing compared yet."""
    bad: int = 0
    """Of the candidate's requests."""
    stable_bad: int = 0
    """Of stable's, while they were compared."""
    dispersion: Dispersion = Dispersion()
    """Of stable, before and during the rollout."""


@dataclass(frozen=True, slots=True)
class Tests:
    """What the tests of a counted metric remember: small, and all that a restarted controller needs."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    version: int = 1
    """Of this structure."""
    comparisons: tuple[Comparison, ...] = ()
    """One for a ratio; one per finite bucket bound, ascending, for a histogram."""
    limit: tuple[float, ...] = ()
    """Logarithms of the bets of the test against the limit and of their reserve."""
    safe: tuple[float, ...] = ()
    """Log-likelihood ratios of the test for safety at this step."""
    requests: int = 0
    """Of the candidate since the rollout began."""
    stable_requests: int = 0
    """Of stable, while they were compared."""
    watched: float | None = None
    """The bound that limit, safety and budget are about: the limit's, or one that stable exceeds at times."""
    excess: float = 0.0
    """The candidate's bad requests beyond stable's rate since the rollout began."""


@dataclass(frozen=True, slots=True)
class MetricStatus:
    """One metric: what was found at the current step, and what its tests know since the rollout began."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    name: str
    verdict: Verdict = Verdict.UNDECIDED
    message: str = ""
    """What was found, in one clause: `5.1% bad (6 of 118), stable 0.1%: odds 812:1, 200:1 roll back`."""
    value: float | None = None
    """Of the candidate: a share for ratio and histogram, the number itself for query."""
    stable_value: float | None = None
    limit: str = ""
    """As people write it: `<= 1%, <= 1.5 x stable`, `p99 <= 0.5s, <= 1.5 x stable`, `0.2 .. 0.8`."""
    odds: float | None = None
    """The strongest evidence of harm among its tests, as odds to one; None: nothing was tested."""
    doubtful: bool = False
    """Its counts alone lean towards harm; stable is too new to tell whether bad requests come in bursts."""
    requests: int = 0
    """Of the candidate, settled, at this step."""
    bad: int = 0
    passes: int = 0
    """Passed evaluations of a query at this step."""
    failures: int = 0
    """Failed evaluations of a query in a row."""
    dispersion: float | None = None
    """How many times more unevenly than by chance stable's bad requests come; 1: by chance alone."""
    query: str = ""
    """As sent to Prometheus for the candidate."""
    dry_run: bool = False
    would_roll_back_at: dt.datetime | None = None
    """When a metric that only reports would first have rolled back."""
    tests: Tests | None = None
    """Of a counted metric."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What all metrics of a rollout have in common."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    windows: int = 0
    """How many were judged in this rollout."""
    phase: Phase = Phase.PREPARING
    weight: int = 0
    """Where the last window was counted; at another place steps begin anew."""
    candidate: int = 0
    """Settled requests here, by version, of the metric that the split is checked by."""
    stable: int = 0
    seconds: float = 0.0
    """How long these were counted."""
    scrape: float | None = None
    """Seconds between two scrapes, as measured before the rollout."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why the rollout is being ended."""

    outcome: Outcome
    reason: str
    by: str = "crossfade"


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A rollout that has ended."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    revision: Revision
    outcome: Outcome
    reason: str
    by: str
    started_at: dt.datetime
    ended_at: dt.datetime
    highest_weight: int
    requests: int = 0
    """Requests that the candidate answered while it was judged."""
    bad: int = 0
    """Of these, the bad ones of the metric that found most."""
    excess: float = 0.0
    """Of these, the ones beyond stable's rate."""
    would_have: str = ""
    """In a dry run: what it would have done instead."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """A Deployment that is to be scaled down or deleted once it is due."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    deployment: str
    action: str
    """ScaleToZero or Delete."""
    due_at: dt.datetime
    hash: str = ""
    """Only if it still runs what was rolled out or back."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition as in the Kubernetes API conventions."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    type: str
    status: str
    reason: str
    message: str
    last_transition_time: dt.datetime
    observed_generation: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status; `Status()` is that of a Canary that nobody has looked at yet."""

    __pydantic_config__: ClassVar[ConfigDict] = _JSON

    phase: Phase = Phase.PREPARING
    stable: Revision | None = None
    candidate: Revision | None = None
    weight: int = 0
    """The candidate's share of the traffic as intended, in percent."""
    weight_seen: int | None = None
    """The share that the routes give it."""
    step: str = ""
    """Position in the shifting phase, `2/5`."""
    verdict: Verdict | None = None
    reason: str = ""
    """What the last tick did and why, in one sentence."""
    started_at: dt.datetime | None = None
    intended_at: dt.datetime | None = None
    """When the routes were last given a new form."""
    step_started_at: dt.datetime | None = None
    """When Gloo was first seen to have accepted the routes of this step; soak counts from here."""
    evaluated_at: dt.datetime | None = None
    next_evaluation_at: dt.datetime | None = None
    held: Held | None = None
    metrics: tuple[MetricStatus, ...] = ()
    weighed: Weighed = Weighed()
    surveyed_at: dt.datetime | None = None
    """When it was found, before this rollout, that stable can be measured."""
    blind_since: dt.datetime | None = None
    """When the last evaluation that could measure was followed by one that could not."""
    sighted_at: dt.datetime | None = None
    """When one that could measure followed again: what is counted has to settle anew."""
    would_have: str = ""
    """In a dry run: what this rollout would have done, when and why."""
    windows: tuple[dict[str, Any], ...] = ()
    """The last ones, which may not be stored yet where `explain` finds them."""
    requests: int = 0
    """Requests that the candidate answered since testing began; copies do not count."""
    bad: int = 0
    excess: float = 0.0
    """Bad ones beyond stable's rate, of the metric that found most."""
    highest_weight: int = 0
    ready_when_raised: int = 0
    """Ready pods of the candidate when its weight was last raised."""
    approved: bool = False
    """A human approved leaving the current step."""
    hurry: Hurry = Hurry.NO
    """A human asked to leave the current step, or all of them, without waiting."""
    paused: bool = False
    """A human paused by command."""
    ending: Ending | None = None
    testing: tuple[TestingMatch, ...] = ()
    """Matches of testing routes that we wrote and have not yet seen removed."""
    shadowed: tuple[str, ...] = ()
    """Upstreams (`namespace/name`) that we had requests copied to, and have not yet seen that it ended."""
    reasserted: int = 0
    """How often the routes were put back since the intent last changed."""
    reasserted_at: dt.datetime | None = None
    refusal: str = ""
    """Why the last rise was not accepted, in Gloo's or the API server's words; a human lifts it."""
    rejected: tuple[Revision, ...] = ()
    """Rolled back, and not tried again until they change or `retry` says so."""
    replaced: tuple[Revision, ...] = ()
    """Served until a newer one was promoted; not released again unless `workload.version` names it."""
    retiring: tuple[Retirement, ...] = ()
    last_command: str = ""
    """Id of the last command carried out."""
    history: tuple[HistoryEntry, ...] = ()
    observed_generation: int = 0
    observed_spec: dict[str, Any] | None = None
    """The last valid spec: a broken edit must not stop a rollback."""
    observed_presets: dict[str, Any] | None = None
    """The platform's presets as the rollout under way began with them, by name."""
    conditions: tuple[Condition, ...] = ()


_ADAPTER = TypeAdapter(Status)


def load_status(document: object) -> Status:
    """Read a status as stored.

    Junk reads as a Canary that nobody has looked at: its routes tell the rest.
    """
    if not isinstance(document, Mapping):
        return Status()
    try:
        return _ADAPTER.validate_python(dict(document))
    except ValidationError:
        return Status()


def dump_status(status: Status) -> dict[str, Any]:
    """Write a status as JSON; fields at their default are left out, so that idle Canaries stay small."""
    dumped: dict[str, Any] = _ADAPTER.dump_python(status, mode="json", by_alias=True, exclude_defaults=True)
    return {"phase": str(status.phase), "weight": status.weight, **dumped}
