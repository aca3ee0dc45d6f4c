"""Why a rollout went as it did, in sentences: what was found, and what would let it go on. Pure."""

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.dispersion import ENOUGH
from analysis.evidence import log_mean_exp
from analysis.latency import harm, worst
from analysis.ledger import Ledger
from analysis.record import Record, Replayed, UnreadableRecordError, number_of, window_of
from analysis.weighing import LEANING, SAFE, Rules
from config.metrics import Analysis, CountedMetric, HistogramMetric, QueryMetric, RatioMetric
from config.quantities import format_share
from config.status import HeldReason, HistoryEntry, MetricStatus, Outcome, Phase, Status, Tests, Verdict
from controller.cli.tables import short
from controller.rollout.phase import WEIGHED


NO_BURSTS = 1.05
"""Up to this dispersion nothing is said of bursts."""
MOST_SPELLS = 5
"""So many of the last blind spells are told."""
MOST_DIFFERENCES = 3
"""So many of the first differences are told: the rest follows from them."""

_LARGEST_SHOWN = math.log(1e6)

_ENDED = {
    Outcome.PROMOTED: "was promoted",
    Outcome.ROLLED_BACK: "was rolled back",
    Outcome.CANCELLED: "was cancelled",
    Outcome.SUPERSEDED: "was superseded",
}


class Said(NamedTuple):
    """A sentence, and what it is about."""

    about: str
    words: str
    verdict: Verdict | None = None
    """Its colour."""


@dataclass(frozen=True)
class Case:
    """One rollout, with all that is known about it."""

    ledger: Ledger
    replayed: tuple[Replayed, ...]
    """The windows that could be judged again."""
    trouble: str
    """Why the others could not; empty if all could."""
    status: Status | None
    """The Canary's, if it is about this rollout."""
    ended: HistoryEntry | None

    @property
    def version(self) -> str:
        """Name the version that is, or was, released."""
        if self.ended is not None:
            return self.ended.revision.version
        return str(dig(self.ledger.rollout, "candidate", "version") or "the candidate")

    @property
    def begun(self) -> str:
        """Say when it began."""
        return instant(dt.datetime.fromisoformat(self.ledger.rollout["startedAt"]))

    @property
    def metrics(self) -> tuple[MetricStatus, ...]:
        """Give what is known of each metric after the last window."""
        if self.status is not None and self.status.metrics:
            return self.status.metrics
        return self.replayed[-1].judgement.memory.metrics if self.replayed else ()

    @property
    def analysis(self) -> Analysis | None:
        """Give the settings by which the last window was judged."""
        windows = self.ledger.windows
        try:
            return self.ledger.analyses().get(str(windows[-1].get("analysis"))) if windows else None
        except UnreadableRecordError:
            return None

    @property
    def differing(self) -> tuple[Replayed, ...]:
        """Give the windows whose verdict comes out otherwise than it was said."""
        return tuple(each for each in self.replayed if each.differs)

    @property
    def leading(self) -> str:
        """Name the metric that speaks most against the candidate."""
        return max(self.metrics, key=_weight, default=MetricStatus("")).name


def case_of(ledger: Ledger, status: Status | None = None) -> Case:
    """Judge again what can be judged again, and see what the status knows about this very rollout."""
    replayed, trouble = [], ""
    try:
        for each in ledger.replay():
            replayed.append(each)  # noqa: PERF402  # those before the trouble count
    except UnreadableRecordError as error:
        trouble = str(error)
    begun = ledger.rollout.get("startedAt")
    if status is None or status.started_at is None or status.started_at.isoformat() != begun:
        ended = [each for each in status.history if each.started_at.isoformat() == begun] if status else []
        return Case(ledger, tuple(replayed), trouble, None, next(iter(ended), None))
    over = [each for each in status.history if each.started_at == status.started_at]
    return Case(ledger, tuple(replayed), trouble, status, next(iter(over), None))


def decided(case: Case) -> Iterator[Said]:
    """Say what was decided, what is waited for, and what would end that."""
    if (end := case.ended) is not None:
        took, by = short(end.ended_at - end.started_at), "" if end.by == "crossfade" else f" (by {end.by})"
        words = f"{_ENDED[end.outcome]} at {instant(end.ended_at)}, {took} after it began"
        yield Said("decided", f"{case.version} {words}, having had up to {end.highest_weight}%")
        yield Said("because", f"{end.reason}{by}", _verdict_of(end.outcome))
        if end.would_have:
            yield Said("dry run", end.would_have, Verdict.HARMFUL)
        return
    status = case.status
    if status is None:
        yield Said("decided", f"how {case.version} ended is not remembered")
        return
    yield Said("now", status.reason, status.verdict)
    if status.would_have:
        yield Said("dry run", f"{status.would_have}; nothing is acted upon", Verdict.HARMFUL)
    if status.phase in WEIGHED and status.held is not None:
        yield Said("waits for", f"{status.held.reason}, since {instant(status.held.since)}")


def awaited(case: Case, status: Status, soaked: dt.datetime | None) -> Iterator[Said]:
    """Say what evidence, or time, would let the rollout leave its step."""
    analysis = case.analysis
    if analysis is None or status.phase not in WEIGHED or case.ended is not None:
        return
    reason = status.held.reason if status.held else None
    for metric in status.metrics:
        if metric.dry_run or analysis.dry_run:
            continue
        if words := _lacking(metric, analysis, status):
            yield Said("goes on with", f"{metric.name}: {words}")
    if reason is HeldReason.SPLIT_MISMATCH:
        yield Said("goes on with", "requests that are divided as asked, counted from the next step on")
    if soaked is not None and status.held is None:
        yield Said("goes on with", f"time: this step soaks until {instant(soaked)}")


def grounds(metric: MetricStatus, analysis: Analysis | None) -> Iterator[Said]:
    """Say what was found about one metric, and what each of its tests shows."""
    yield Said(metric.name, f"{metric.verdict}, held to {metric.limit}", metric.verdict)
    if metric.message:
        yield Said("found", metric.message)
    wanted = next((each for each in analysis.metrics if each.name == metric.name), None) if analysis else None
    if (
        analysis is not None
        and metric.tests is not None
        and isinstance(wanted, RatioMetric | HistogramMetric)
    ):
        yield from _tests(wanted, metric.tests, analysis)
    if metric.dispersion is not None and metric.dispersion > NO_BURSTS:
        yield Said("bursts", f"{_unevenly(metric)}, so that all evidence weighs 1/{metric.dispersion:g}")
    if metric.dry_run:
        would = metric.would_roll_back_at
        yield Said(
            "dry run",
            "only reported, never acted upon"
            + (f"; would have rolled back at {instant(would)}" if would else ""),
        )


def _unevenly(metric: MetricStatus) -> str:
    """Say how unevenly stable's bad requests come, or are taken to come."""
    found = f"{metric.dispersion:g} times more unevenly than by chance"
    comparisons = metric.tests.comparisons if metric.tests else ()
    seen = min((each.dispersion.windows for each in comparisons), default=ENOUGH)
    if seen < ENOUGH:
        so_far = f"stable was seen in {seen} windows so far, and until {ENOUGH}"
        return f"{so_far} its bad requests are taken to come {found}"
    return f"stable's bad requests come {found}"


def since_when(name: str, windows: Sequence[Record]) -> Iterator[Said]:
    """Say since when the evidence leans towards harm, or shows it."""
    leaning = list(itertools.takewhile(lambda each: _said_odds(each, name) >= LEANING, reversed(windows)))
    if leaning:
        yield Said("since", f"odds of 10:1 and more in every window since {_time(leaning[-1])}")


def blind_spells(windows: Sequence[Record]) -> Iterator[Said]:
    """Say when nothing could be measured, and why."""
    spells = [
        list(spell)
        for blind, spell in itertools.groupby(
            windows, key=lambda each: dig(each, "said", "verdict") == "Blind"
        )
        if blind
    ]
    if len(spells) > MOST_SPELLS:
        yield Said("blind", f"{len(spells)} times; the last {MOST_SPELLS}:")
    for spell in spells[-MOST_SPELLS:]:
        counted = f"{len(spell)} window{'' if len(spell) == 1 else 's'}"
        when = f"{_time(spell[0], begin=True)} to {_time(spell[-1])}, {counted}"
        yield Said("blind", f"{when}: {dig(spell[-1], 'said', 'because')}")


def kept(case: Case) -> Iterator[Said]:
    """Say how much of it is stored, and whether the verdicts come out the same."""
    windows, again = case.ledger.windows, len(case.replayed)
    if not windows:
        yield Said("windows", "none have been kept")
        return
    whole = again == len(windows) and not case.trouble
    words = (
        f"{len(windows):,} kept, all judged again"
        if whole
        else f"{len(windows):,} kept, {again:,} judged again"
    )
    agreed = "every verdict comes out the same, to the last digit"
    yield Said("windows", f"{words}: {agreed}" if not case.differing and again else words)
    if dropped := number_of(windows[0]) - 1:
        yield Said("", f"the {dropped:,} before them were let go to save room, or were never stored")
    if case.trouble:
        yield Said("", f"not all can be judged again: {case.trouble}", Verdict.BLIND)
    for each in case.differing[:MOST_DIFFERENCES]:
        words = f"window {number_of(each.record)} at {_time(each.record)}: {each.differs}"
        yield Said("", words, Verdict.HARMFUL)
    if more := len(case.differing[MOST_DIFFERENCES:]):
        yield Said("", f"{more} more after them, of {again:,}", Verdict.HARMFUL)


def instant(at: dt.datetime) -> str:
    """Write a point of time: `2026-03-01 12:00:10 UTC`."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def dig(record: object, *path: str) -> object:
    """Follow a path into a record that may be anything; None if it ends early."""
    for part in path:
        record = record.get(part) if isinstance(record, dict) else None
    return record


def odds(log_e: float) -> str:
    """Write ln E as odds: `812:1`, `1:30`, `1.7:1`."""
    if abs(log_e) >= _LARGEST_SHOWN:
        return "over 1,000,000:1" if log_e > 0 else "under 1:1,000,000"
    ratio = math.exp(abs(log_e))
    written = f"{float(f'{ratio:.3g}'):,.0f}" if ratio >= 10 else f"{ratio:.2g}"
    return f"{written}:1" if log_e >= 0 else f"1:{written}"


def _tests(metric: CountedMetric, tests: Tests, analysis: Analysis) -> Iterator[Said]:
    needed = f"{odds(Rules.of(analysis, settled=True, comparable=True).needed)} roll back"
    bad = "bad" if isinstance(metric, RatioMetric) else "slow"
    if any(each.harm for each in tests.comparisons):
        lead = worst(tests.comparisons)
        which = "" if lead.bound is None else f", most of all slower than {lead.bound:g}s"
        found = f"odds {odds(harm(tests.comparisons))} that more than {metric.tolerate:g} times as many"
        yield Said("against stable", f"{found} are {bad}{which}; {needed}")
    if tests.limit:
        found = f"odds {odds(log_mean_exp(tests.limit))} that more than {_allowed(metric)}"
        yield Said("against limit", f"{found}; {needed}")
    if tests.safe:
        found = f"odds {odds(log_mean_exp(tests.safe))} that fewer than {analysis.must_not_exceed:g} times"
        yield Said("safe", f"{found} as many as stable's are {bad}, at this step; {odds(SAFE)} are Safe")
    if tests.excess >= 0.5:
        budget = "" if analysis.harm_budget is None else f", harmBudget {analysis.harm_budget:,}"
        yield Said("cost", f"{tests.excess:,.0f} {bad} requests beyond stable's rate so far{budget}")


def _allowed(metric: CountedMetric) -> str:
    match metric:
        case RatioMetric(max=float(share)):
            return f"{format_share(share)} are bad"
        case HistogramMetric(max=limit) if limit is not None:
            return f"{format_share(1 - limit.quantile)} take longer than {limit.seconds:g}s"
        case _:
            return f"{metric.tolerate:g} times what stable used to have"


def _lacking(metric: MetricStatus, analysis: Analysis, status: Status) -> str:
    """Say what a metric still lacks at this step; empty if nothing."""
    wanted = next((each for each in analysis.metrics if each.name == metric.name), None)
    if metric.verdict is Verdict.BLIND:
        return "an answer that can be counted"
    if isinstance(wanted, QueryMetric):
        return "a value within its bounds" if metric.failures or not metric.passes else ""
    if metric.odds is not None and metric.odds >= LEANING:
        return "requests that bring the odds of harm below 10:1"
    if metric.requests < analysis.min_requests:
        return f"{analysis.min_requests - metric.requests:,} more requests at this step"
    if analysis.advance == "Evidence" and status.phase is Phase.SHIFTING and 0 < status.weight < 100:
        return "" if metric.verdict is Verdict.SAFE else f"odds of {odds(SAFE)} that it is safe"
    return ""


def _verdict_of(outcome: Outcome) -> Verdict | None:
    return {Outcome.PROMOTED: Verdict.SAFE, Outcome.ROLLED_BACK: Verdict.HARMFUL}.get(outcome)


def _weight(metric: MetricStatus) -> tuple[bool, float]:
    return metric.verdict is Verdict.HARMFUL, float(metric.failures) if metric.odds is None else metric.odds


def _said_odds(window: Record, name: str) -> float:
    found = dig(window, "said", "metrics", name, "odds")
    return float(found) if isinstance(found, int | float) else 0.0


def _time(window: Record, *, begin: bool = False) -> str:
    try:
        found = window_of(window)
    except UnreadableRecordError:
        return "an unknown time"
    return instant(found.since if begin and found.since else found.until)
