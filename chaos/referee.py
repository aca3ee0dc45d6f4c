"""Judges a chaos run by what it left: the audit, the access log, and what users and testers got.

Nothing that the controller says of itself counts, unless it is in what it wrote to the API server; and
nothing that chaos says, except what it released, did and broke, and when.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

from chaos.chronicle import Chronicle, Story
from chaos.findings import Breach
from chaos.invariants import histories, outcomes, users, way_back
from chaos.invariants.earned import Intent, unearned
from chaos.invariants.foreign import Foreign
from chaos.invariants.outcomes import Release
from chaos.invariants.stable import Stable
from chaos.invariants.weights import Weights
from chaos.records import Deed, Request, Second, What, Write, deeds, requests, seconds, writes
from chaos.served import Served
from chaos.weather import Weather


USUAL_RATE = 0.01
"""Of false rollbacks, where a Canary does not say."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run was."""

    rollouts: Mapping[tuple[str, str], int]
    """Trait and outcome -> releases; outcome "none": it never became a rollout that ended."""
    ended: int
    """Rollouts that ended, whatever began them: entries of all histories."""
    faults: Mapping[str, int]
    """`apiserver delay` -> how often."""
    writes: int
    """Of the controller."""
    requests: int
    """Of users and testers, as Envoy counted them."""
    failed: int
    """Of users and testers, as they counted them."""
    false_rollbacks: int
    delays: tuple[float, ...]
    """Seconds from the record of a rollback to the last user who got the candidate, ascending."""

    def delay(self, share: float) -> float:
        """Give a quantile of the delays, in seconds; 0 without any."""
        if len(self.delays) < 2:
            return sum(self.delays)
        return quantiles(self.delays, n=100, method="inclusive")[round(share * 100) - 1]

    def lines(self) -> Iterator[str]:
        """Show them to people."""
        yield f"{self.ended} rollouts ended; {self.false_rollbacks} good versions rolled back by evidence"
        for (trait, outcome), count in sorted(self.rollouts.items()):
            yield f"  {trait:12} {outcome:12} {count:6}"
        yield f"{sum(self.faults.values())} faults"
        for kind, count in sorted(self.faults.items()):
            yield f"  {kind:25} {count:6}"
        yield f"{self.writes} writes of the controller, {self.requests} requests, {self.failed} failed"
        yield (
            f"{len(self.delays)} rollbacks in peace: the last user after {self.delay(0.5):.2f} s (median), "
            f"{self.delay(0.9):.2f} s (p90), {max(self.delays, default=0.0):.2f} s (longest)"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """What the referee found."""

    breaches: tuple[Breach, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a run left, read as it is asked for."""

    writes: Iterable[Write]
    requests: Iterable[Request]
    seconds: Iterable[Second]
    deeds: Sequence[Deed]


def examine(folder: Path) -> Report:
    """Judge the run that left this folder (see `chaos.records`).

    Raises:
        OSError: a file is missing.
        ValueError: a line has none of the shapes of `chaos.records`.
    """
    return judge(Evidence(writes(folder), requests(folder), seconds(folder), deeds(folder)))


def judge(evidence: Evidence) -> Report:
    """Judge a run."""
    weather, chronicle = Weather(evidence.deeds), Chronicle()
    weights, intent, stable, foreign = Weights(), Intent(), Stable(weather), Foreign(weather)
    chronicle.read(evidence.writes, (weights, intent, stable, foreign))
    foreign.finish(chronicle, evidence.deeds)
    breaches = [*weights.breaches, *intent.breaches, *stable.breaches, *foreign.breaches]
    case = _Case(
        evidence.deeds, weather, Served.read(evidence.requests, chronicle.pods), _by_app(evidence.seconds)
    )
    stories = [story for story in chronicle.stories.values() if story.canary]
    released = [release for story in stories for release in outcomes.releases(story, evidence.deeds)]
    for story in stories:
        breaches += _breaches(story, case)
    if too_many := outcomes.too_many(released, max(map(_rate, stories), default=USUAL_RATE)):
        breaches.append(too_many)
    return Report(
        breaches=tuple(sorted(breaches, key=lambda breach: breach.time)),
        figures=_figures(stories, released, case, chronicle),
    )


@dataclass(frozen=True, slots=True)
class _Case:
    """What the judgement of each application needs besides its story."""

    deeds: Sequence[Deed]
    weather: Weather
    served: Served
    seconds: Mapping[str, Sequence[Second]]


def _breaches(story: Story, case: _Case) -> Iterator[Breach]:
    released = outcomes.releases(story, case.deeds)
    yield from unearned(story, case.weather)
    yield from outcomes.promoted_although_harmful(story, released)
    yield from outcomes.not_promoted(story, released, case.weather)
    yield from histories.untrue(story, case.weather)
    yield from way_back.late(story, case.served, case.weather)
    yield from users.unexplained(story, case.seconds.get(story.app, ()), case.served, case.weather)


def _figures(
    stories: Sequence[Story], released: Sequence[Release], case: _Case, chronicle: Chronicle
) -> Figures:
    faults = (deed for deed in case.deeds if deed.what is What.FAULT)
    delays = (each for story in stories for each in way_back.delays(story, case.served, case.weather))
    failed = (sum(users.failures(each).values()) for found in case.seconds.values() for each in found)
    return Figures(
        rollouts=Counter((str(each.trait), each.outcome) for each in released),
        ended=sum(len(outcomes.entries(story)) for story in stories),
        faults=Counter(f"{deed.details['part']} {deed.details['kind']}" for deed in faults),
        writes=chronicle.ours,
        requests=case.served.requests,
        failed=sum(failed),
        false_rollbacks=sum(each.falsely for each in released),
        delays=tuple(sorted(delays)),
    )


def _by_app(found: Iterable[Second]) -> dict[str, list[Second]]:
    """Sort the accounts of users and testers by application, and by time in each."""
    sorted_out: dict[str, list[Second]] = {}
    for second in found:
        sorted_out.setdefault(second.app, []).append(second)
    for each in sorted_out.values():
        each.sort(key=lambda second: second.began)
    return sorted_out


def _rate(story: Story) -> float:
    written = str((story.spec.get("analysis") or {}).get("falseRollbackRate", USUAL_RATE))
    return float(written.removesuffix("%")) / (100 if written.endswith("%") else 1)
