"""The world around the pure machine: routes, Gloo, Deployments and people, as plain values."""

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.survey import Survey
from analysis.verdict import Judgement, Memory
from config.canary import CanarySpec, TestingMatch
from config.status import HeldReason, MetricStatus, Phase, Revision, Status, Verdict
from controller.rollout.moves import Form
from controller.rollout.observation import Acceptance, Command, Observation, Routes, Workload
from situations import SECOND, T0, V1, V2, V3, spec


REVISIONS = {revision.version: revision for revision in (V1, V2, V3)}


@dataclass(frozen=True)
class Content:
    """What the routes really are: the main route, and whom testers reach by which match."""

    stable: str | None = None
    candidate: str | None = None
    weight: int | None = None
    testers: frozenset[tuple[TestingMatch, str]] = frozenset()
    copies: tuple[str, float] | None = None
    """Which version gets copies of the main route's requests, and of how many percent."""

    def after(self, form: Form) -> "Content":
        """Write a form; testing routes that it does not name are not recognised, and stay."""
        named = {*form.testing, *form.retired}
        foreign = {(match, version) for match, version in self.testers if match not in named}
        ours = {(match, form.candidate or "") for match in form.testing}
        split = form.weight is not None
        copies = self.copies
        if copies is not None and f"gloo-system/echo-{copies[0]}" in form.unshadowed:
            copies = None
        if copies is not None and form.shadowing is not None and copies[0] == form.candidate:
            copies = None
        if form.shadowing is not None and form.candidate is not None and copies is None:
            copies = form.candidate, form.shadowing
        return Content(
            form.stable, form.candidate if split else None, form.weight, frozenset(foreign | ours), copies
        )

    @property
    def serving(self) -> str | None:
        """The only version that the main route leads to."""
        return self.stable if self.weight is None else None


@dataclass(frozen=True)
class Opinion:
    """What the metrics say when they are asked."""

    verdict: Verdict
    waits_for: HeldReason | None = None
    answered: bool = True
    problem: str = ""
    """Why stable cannot be measured."""
    lacking: bool = False
    """It may only not have been scraped yet."""

    def judgement(self, world: "Weather") -> Judgement:
        """Give it as one evaluation, now."""
        analysis, place = world.spec.analysis, world.status
        compared = place.phase is Phase.SHIFTING and 0 < place.weight < 100
        waits_for = self.waits_for
        if analysis.advance == "Evidence" and compared and self.verdict is not Verdict.SAFE:
            waits_for = waits_for or HeldReason.TOO_FEW_REQUESTS
        acts = not is_dry(world.spec)
        metrics = (MetricStatus("errors", self.verdict, "numbers", requests=10, bad=1, dry_run=not acts),)
        return Judgement(
            verdict=self.verdict,
            because="errors: numbers",
            waits_for=waits_for if acts else None,
            memory=Memory(metrics),
            requests=0 if self.verdict is Verdict.BLIND else 10,
            bad=0 if self.verdict is Verdict.BLIND else 1,
            excess=0.5,
            at=world.now,
            answered=self.answered,
            acts=acts,
        )

    def survey(self, world: "Weather") -> Survey:
        """Give it as a look at stable's past, now."""
        unanswered = "" if self.answered else "connection refused"
        return Survey(
            Memory(), world.now, "" if unanswered else self.problem, unanswered, lacking=self.lacking
        )


GOOD = Opinion(Verdict.SAFE)
AWAY = Opinion(Verdict.BLIND, HeldReason.BLIND, answered=False)
HARM = Opinion(Verdict.HARMFUL, HeldReason.OUT_OF_BOUNDS)
NO_DATA = Opinion(Verdict.BLIND, HeldReason.BLIND)
OPINIONS = (
    GOOD,
    Opinion(Verdict.UNDECIDED),
    Opinion(Verdict.UNDECIDED, HeldReason.TOO_FEW_REQUESTS),
    Opinion(Verdict.UNDECIDED, HeldReason.OUT_OF_BOUNDS),
    Opinion(Verdict.UNDECIDED, HeldReason.SPLIT_MISMATCH),
    NO_DATA,
    AWAY,
    HARM,
    Opinion(Verdict.SAFE, problem="spec.analysis.metrics[0].ratio: total is below bad"),
    Opinion(Verdict.SAFE, problem="spec.analysis.metrics[0].ratio.total: no series of v1", lacking=True),
)


@dataclass
class Weather:
    """A cluster with one Canary in it. Tests meddle with its fields as they like."""

    spec: CanarySpec = field(default_factory=spec)
    status: Status = field(default_factory=Status)
    now: dt.datetime = T0
    content: Content = field(default_factory=Content)
    written_at: dt.datetime = T0
    deployments: dict[str, Workload] = field(default_factory=dict)
    disliked: frozenset[int | None] = frozenset()
    """Weights (None: undivided) that Gloo rejects once it has had a look."""
    refused: frozenset[int | None] = frozenset()
    """Weights that the API server does not take at all."""
    gloo_answers: bool = True
    problem: str = ""
    claimed_by: str = ""
    stopped: str = ""
    own_shadowing: str = ""
    command: Command | None = None
    deleting: bool = False
    finalizer: bool = False

    @property
    def newest(self) -> str:
        """The version that was deployed last."""
        return (
            max(self.deployments.values(), key=lambda each: each.created_at).version
            if self.deployments
            else "v2"
        )

    @property
    def stable(self) -> str:
        """The version that serves."""
        return self.status.stable.version if self.status.stable else "v1"

    def deploy(self, version: str, **fields: Any) -> None:
        """Apply a Deployment of this version."""
        revision = REVISIONS[version]
        old = self.deployments.get(revision.deployment)
        fresh = Workload(revision.deployment, version, revision.hash, self.now, 2, 2)
        self.deployments[revision.deployment] = replace(old or fresh, **fields)

    def write(self, form: Form) -> None:
        """Change the routes; Gloo says nothing new about them for a moment."""
        after = self.content.after(form)
        if after != self.content:
            self.content, self.written_at = after, self.now

    def routes(self, form: Form | None) -> Routes:
        """See the routes in the light of a form."""
        content = self.content
        looked = self.now >= self.written_at + SECOND
        acceptance, words = Acceptance.ACCEPTED, ""
        if looked and not self.gloo_answers:
            acceptance = Acceptance.PENDING
        elif looked and content.weight in self.disliked:
            acceptance, words = Acceptance.REJECTED, f"Gloo dislikes {content.weight}"
        return Routes(
            in_form=form is not None and content.after(form) == content,
            version=content.serving,
            unpinned=content.stable is None,
            weight=content.weight,
            acceptance=acceptance,
            acceptance_reason=words,
            shape=f"{content.stable} / {content.candidate} {content.weight}",
            own_shadowing=self.own_shadowing,
        )

    def see(self, form: Form | None) -> Observation:
        """Take the snapshot of one tick."""
        return Observation(
            now=self.now,
            generation=1,
            workloads=tuple(self.deployments.values()),
            routes=self.routes(form),
            command=self.command,
            problem=self.problem,
            claimed_by=self.claimed_by,
            stopped=self.stopped,
            deleting=self.deleting,
            finalizer=self.finalizer,
        )

    def clear_up(self) -> None:
        """Repair everything that only hinders; what people wanted stays wanted."""
        self.gloo_answers, self.disliked, self.refused = True, frozenset(), frozenset()
        self.problem = self.claimed_by = self.own_shadowing = self.stopped = ""
        any_version = self.spec.workload.model_copy(update={"version": None})
        self.spec = self.spec.model_copy(update={"paused": False, "schedule": None, "workload": any_version})
        for name, workload in self.deployments.items():
            self.deployments[name] = replace(workload, ready=workload.wanted, counted=True)
        stable = self.status.stable or V1
        if stable.deployment not in self.deployments:
            self.deploy(stable.version, hash=stable.hash)
        old = self.deployments[stable.deployment]
        self.deployments[stable.deployment] = replace(
            old, version=stable.version, wanted=max(old.wanted, 1), ready=max(old.wanted, 1)
        )


def revision(workload: Workload) -> Revision:
    """Name what a Deployment runs."""
    return Revision(workload.version, workload.hash, workload.name)


def is_dry(spec: CanarySpec) -> bool:
    """Tell whether verdicts are for people only."""
    return spec.analysis.dry_run or all(metric.dry_run for metric in spec.analysis.metrics)


def at_rest(phase: Phase) -> bool:
    """Tell whether nothing is under way."""
    return phase in {Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK}
