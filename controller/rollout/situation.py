"""Where a Canary stands: asked, remembered and seen, with the questions that rules ask."""

import datetime as dt
import enum
from dataclasses import dataclass, replace

from config.canary import CanarySpec, Shifting, Step
from config.quantities import format_duration
from config.schedule import Closed
from config.status import Held, HeldReason, Hurry, Phase, Status, Verdict
from controller.rollout import choice
from controller.rollout.moves import Move
from controller.rollout.observation import Acceptance, Observation, Workload
from controller.rollout.phase import AT_REST, WEIGHED


GRACE = dt.timedelta(seconds=1)
"""Gloo repeats no status that has not changed, so an acceptance counts once a rejection had time to come."""
ANSWER = dt.timedelta(minutes=1)
"""How long Gloo may take to say anything about what was written, before it counts as away."""
READY_TO_KEEP = 0.5
"""Share of its pods that the candidate must keep ready while it carries traffic; to rise it needs all."""
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class Ask(enum.Enum):
    """What Prometheus is to be asked before the decision is taken again."""

    SURVEY = enum.auto()
    """What stable was like until now: before anybody is exposed."""
    EVIDENCE = enum.auto()
    """What was counted since the last evaluation."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be recorded, the one move to make, and why."""

    status: Status
    move: Move | None
    because: str
    ask: Ask | None = None
    """Prometheus is to be asked first: do that, and decide again."""
    wake_at: dt.datetime | None = None
    """Look again then, even if nothing happens; None: only when something does."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The arguments of every rule."""

    spec: CanarySpec
    status: Status
    seen: Observation

    @property
    def candidate(self) -> Workload | None:
        """The candidate's Deployment, if it still exists."""
        return self._deployment(self.status.candidate.deployment if self.status.candidate else "")

    @property
    def stable(self) -> Workload | None:
        """The stable version's Deployment, if there is one."""
        return choice.serving(self.seen.workloads, self.status.stable.version) if self.status.stable else None

    @property
    def stable_version(self) -> str:
        """The version that serves, for people; empty before one is known."""
        return self.status.stable.version if self.status.stable else ""

    @property
    def candidate_version(self) -> str:
        """The version that is, or was last, released."""
        return self.status.candidate.version if self.status.candidate else ""

    @property
    def in_flight(self) -> bool:
        """A candidate is being prepared, or carries traffic."""
        phase = self.status.phase
        return self.status.candidate is not None and phase in {
            Phase.PREPARING,
            Phase.SHADOWING,
            Phase.TESTING,
            Phase.SHIFTING,
            Phase.BAKING,
            Phase.FINISHING,
        }

    @property
    def settled(self) -> bool:
        """The routes are as intended, and Gloo has accepted them."""
        routes = self.seen.routes
        quiet = self.seen.now >= self.quiet_at
        return routes.in_form and routes.acceptance is Acceptance.ACCEPTED and quiet

    @property
    def quiet_at(self) -> dt.datetime:
        """When Gloo has had the time to object to what was written last."""
        return self._written_at + GRACE

    @property
    def silent_at(self) -> dt.datetime | None:
        """When Gloo counts as away; None: it has answered, or the routes are not in form yet."""
        routes = self.seen.routes
        silent = routes.in_form and routes.acceptance is Acceptance.PENDING
        return self._written_at + ANSWER if silent else None

    @property
    def unanswered(self) -> bool:
        """Gloo has not said a word about the routes for so long that it must be away."""
        return self.silent_at is not None and self.seen.now >= self.silent_at

    @property
    def dry_run(self) -> bool:
        """Verdicts are for people only."""
        analysis = self.spec.analysis
        return analysis.dry_run or all(metric.dry_run for metric in analysis.metrics)

    @property
    def blind_until(self) -> dt.datetime | None:
        """When something is to be done about having measured nothing for long; None: nothing is."""
        since = self.status.blind_since
        hurried = self.status.hurry is not Hurry.NO
        if since is None or hurried or self.status.phase not in WEIGHED or self.dry_run:
            return None
        return since + self.spec.analysis.blind.after

    @property
    def long_blind(self) -> bool:
        """Nothing could be measured for as long as the spec puts up with."""
        return self.blind_until is not None and self.seen.now >= self.blind_until

    @property
    def why_blind(self) -> str:
        """Name the first metric that could not be measured, and why."""
        blind = (each for each in self.status.metrics if each.verdict is Verdict.BLIND and not each.dry_run)
        return next((f"{metric.name}: {metric.message}" for metric in blind), "nothing was measured")

    @property
    def closed(self) -> Closed | None:
        """The schedule keeps the weight from rising, and until when; None: it does not."""
        return closed(self.spec, self.seen.now)

    @property
    def problem(self) -> str:
        """Why nothing may rise, if so."""
        return self.seen.problem or self.seen.routes.problem or self._shadowing_problem

    def hold(self, reason: HeldReason, message: str, *, needs_human: bool = False) -> Decision:
        """Stay, and say what is waited for."""
        held = Held(reason, message, self.seen.now, needs_human)
        return Decision(replace(self.status, held=held), None, message)

    def where(self) -> str:
        """Name the place for people: `canary testing v2`, `v2 at 25%`."""
        version = self.candidate_version
        if not version:
            return f"pinned to {self.stable_version}"
        match self.status.phase:
            case Phase.SHADOWING:
                return f"shadowing {version}"
            case Phase.TESTING:
                return f"canary testing {version}"
            case Phase.BAKING:
                return f"baking {version} at 100%"
            case Phase.ROLLING_BACK if self.status.ending:
                return f"rolling back {version}: {self.status.ending.reason}"
            case Phase.FINISHING:
                return f"cleaning up after {version}"
            case _:
                return f"{version} at {self.status.weight}%"

    @property
    def _written_at(self) -> dt.datetime:
        return max(self.status.intended_at or NEVER, self.status.reasserted_at or NEVER)

    @property
    def _shadowing_problem(self) -> str:
        """Why requests cannot be copied, as long as that is still to be done."""
        ahead = self.status.phase in {*AT_REST, Phase.PREPARING, Phase.SHADOWING}
        return self.seen.routes.own_shadowing if self.spec.shadowing and ahead else ""

    def _deployment(self, name: str) -> Workload | None:
        return next((workload for workload in self.seen.workloads if workload.name == name), None)


def current_step(spec: CanarySpec, status: Status) -> Step:
    """Give the step of the ladder that the current weight belongs to."""
    ladder = spec.ladder()
    return next((step for step in ladder if step.weight >= status.weight), ladder[-1])


def soak(spec: CanarySpec, status: Status) -> dt.timedelta:
    """Say how long the current phase or step lasts at least."""
    match status.phase:
        case Phase.SHADOWING if spec.shadowing:
            return spec.shadowing.duration
        case Phase.TESTING if spec.testing:
            return spec.testing.duration
        case Phase.BAKING:
            return spec.baking.duration
        case Phase.SHIFTING if status.weight > 0:
            own = current_step(spec, status).interval
            return own if own is not None else (spec.shifting or Shifting()).interval
        case _:
            return dt.timedelta(0)


def soaked_at(spec: CanarySpec, status: Status) -> dt.datetime | None:
    """Say when the soak is over; None while it has not begun."""
    begun = status.step_started_at
    return None if begun is None else begun + soak(spec, status)


def closed(spec: CanarySpec, moment: dt.datetime) -> Closed | None:
    """Say until when the schedule keeps the weight from rising; None: it does not."""
    return spec.schedule.closed(moment) if spec.schedule else None


def ready(workload: Workload | None) -> bool:
    """All pods of the Deployment are ready, and there is at least one."""
    return workload is not None and workload.counted and 0 < workload.wanted <= workload.ready


def readiness(workload: Workload | None, version: str) -> str:
    """Say how many pods of a version are ready: `echo-v2: 0 of 1 pods ready`."""
    if workload is None:
        return f"no Deployment runs {version}"
    if workload.kind == "Upstream":
        return f"Upstream {workload.name} is {'' if workload.ready else 'not '}accepted by Gloo"
    if workload.wanted == 0:
        return f"{workload.name} is scaled to 0"
    if not workload.counted:
        return f"{workload.name} was changed just now, its pods are not counted yet"
    return f"{workload.name}: {workload.ready} of {workload.wanted} pods ready"


def unsettled(at: Situation) -> Decision:
    """Wait for Gloo's answer to what was written."""
    routes = at.seen.routes
    early = routes.acceptance is Acceptance.PENDING and at.seen.now < at.quiet_at
    if routes.acceptance is Acceptance.ACCEPTED or early:
        return Decision(replace(at.status, held=None), None, f"{at.where()}: giving Gloo a moment to object")
    words = silence() if at.unanswered else routes.acceptance_reason or "no answer yet"
    message = f"{at.where()}: waiting for Gloo to accept the routes ({words})"
    return at.hold(HeldReason.NOT_ACCEPTED, message, needs_human=at.unanswered)


def silence() -> str:
    """Say that Gloo is away, and what to look at."""
    return f"no answer for {format_duration(ANSWER)}; does Gloo run?"


def lasting(duration: dt.timedelta) -> str:
    """Write a duration for people, in whole seconds."""
    return format_duration(dt.timedelta(seconds=round(duration.total_seconds())))
