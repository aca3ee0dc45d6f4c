"""One counted metric: what a window adds to its tests, and what they show then."""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from analysis import evidence
from analysis.dispersion import ENOUGH, dispersion, observed
from analysis.evidence import log_mean_exp
from analysis.latency import Tally, aligned, harm, tally, watched, worst
from analysis.readings import Counts, Latencies, MetricReading, NoData, Reading
from analysis.samples import Failure
from config.metrics import Analysis, CountedMetric, HistogramMetric, QueryMetric, RatioMetric
from config.quantities import format_share
from config.status import Comparison, Dispersion, MetricStatus, Tests, Verdict


LEANING = 10.0
"""From these odds on nothing rises: the evidence leans towards harm, although it is not shown yet."""
SAFE = math.log(1 / 0.05)
"""ln E from which a candidate counts as safe."""
PAST = 20
"""Stable's past speaks for as many requests of a window: with fewer in it, it says more than they do."""

_LARGEST_LIMIT = 0.99
_LARGEST_SHOWN = math.log(1e6)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all counted metrics in one window."""

    needed: float
    """ln E from which harm is shown: each of the k tests has its share alpha / k of the false rollbacks."""
    must_not_exceed: float
    min_requests: int
    budget: int | None
    """Bad requests beyond stable's rate that are harm without any test."""
    settled: bool
    """What speaks for the candidate counts."""
    comparable: bool
    """Stable has its share of the traffic."""

    @classmethod
    def of(cls, analysis: Analysis, *, settled: bool, comparable: bool) -> "Rules":
        """Share the false rollbacks among all tests: against stable and against a limit, for every metric."""
        tests = 2 * sum(not isinstance(metric, QueryMetric) for metric in analysis.metrics)
        return cls(
            needed=math.log(max(tests, 1) / analysis.false_rollback_rate),
            must_not_exceed=analysis.must_not_exceed,
            min_requests=analysis.min_requests,
            budget=analysis.harm_budget,
            settled=settled,
            comparable=comparable,
        )


class _Strongest(NamedTuple):
    """The test that speaks most against the candidate."""

    log_e: float
    by_limit: bool


def weigh(metric: CountedMetric, before: MetricStatus, reading: MetricReading, rules: Rules) -> MetricStatus:
    """Add one window to the tests of a metric, and say what they show.

    Harm that shows in it is harm, even if not everything could be measured. A
    window after one that could not be measured may hold what came before this
    step, and speaks for nothing.

    Args:
        metric: As in the spec.
        before: After the previous window; what belongs to an earlier step is taken out of it.
        reading: What was counted.
        rules: Those of this window.

    Raises:
        TypeError: the reading is of another kind of metric.

    """
    status = replace(before, query=reading.query)
    candidate, stable = _tallied(metric, reading.candidate), _tallied(metric, reading.stable)
    if isinstance(candidate, str):
        return replace(status, verdict=Verdict.BLIND, message=candidate)
    against = stable if isinstance(stable, Tally) and rules.comparable else None
    tests = _begun(metric, before.tests or Tests(), candidate, against)
    unseen = _unseen(tests, candidate, reading, stable) if rules.comparable else ""
    blind = _hidden(tests, candidate, reading) or unseen
    proves = rules.settled and not blind and before.verdict is not Verdict.BLIND
    rules = replace(rules, settled=proves)
    tests = _added(metric, tests, candidate, against, rules)
    status = _measured(status, tests, candidate, rules)
    status = replace(status, doubtful=_doubtful(metric, tests, rules))
    if harmful := _harm(metric, tests, rules):
        return replace(status, verdict=Verdict.HARMFUL, message=harmful)
    if blind:
        return replace(status, verdict=Verdict.BLIND, message=blind)
    safe = status.requests >= rules.min_requests and not leans(status) and log_mean_exp(tests.safe) >= SAFE
    verdict = Verdict.SAFE if safe else Verdict.UNDECIDED
    return replace(status, verdict=verdict, message=_found(status, tests, reading.candidate, rules))


def limits(metric: CountedMetric) -> str:
    """Write what a metric is held to: `<= 1%, <= 1.5 x stable`, `p99 <= 0.5s, <= 1.5 x stable`."""
    relative = f"<= {metric.tolerate:g} x stable"
    match metric:
        case RatioMetric(max=float(share)):
            return f"<= {format_share(share)}, {relative}"
        case HistogramMetric(max=limit) if limit is not None:
            return f"p{limit.quantile * 100:g} <= {limit.seconds:g}s, {relative}"
        case _:
            return relative


def leans(status: MetricStatus) -> bool:
    """Tell whether the evidence leans towards harm, although it may not be shown yet."""
    return status.doubtful or (status.odds is not None and status.odds >= LEANING)


def not_yet_safe(status: MetricStatus) -> str:
    """Say how much evidence of safety a metric has, and how much is needed."""
    tests = status.tests or Tests()
    return f"odds of being safe {_odds(log_mean_exp(tests.safe))}, {_odds(SAFE)} needed to go on"


def _tallied(metric: CountedMetric, reading: Reading) -> Tally | str:
    """Give what was counted, or why nothing was."""
    match metric, reading:
        case (RatioMetric(), Counts() as counted) | (HistogramMetric(), Latencies() as counted):
            return tally(counted)
        case _, NoData(reason=reason):
            return f"no data: {reason}"
        case _, Failure(reason=reason):
            return reason
        case _:
            raise TypeError(f"{metric.name} cannot be judged by {reading}")


def _begun(metric: CountedMetric, tests: Tests, candidate: Tally, stable: Tally | None) -> Tests:
    """Choose what is compared and watched, if that could not be chosen before."""
    comparisons = aligned(tests.comparisons, [candidate, stable] if stable else [candidate])
    bound = watched(metric, comparisons) if tests.watched is None else tests.watched
    return replace(tests, comparisons=comparisons, watched=bound)


def _hidden(tests: Tests, candidate: Tally, reading: MetricReading) -> str:
    """Say why the candidate could not be measured; empty if it could."""
    if tests.requests and not _has_series(reading.candidate):
        return "the candidate's series have disappeared"
    if not any(candidate.knows(each.bound) for each in tests.comparisons) and candidate.requests:
        return "candidate and stable have no bucket bound in common"
    if tests.watched is not None and not candidate.knows(tests.watched):
        return f"the candidate has no bucket le={tests.watched:g}"
    return ""


def _unseen(tests: Tests, candidate: Tally, reading: MetricReading, stable: Tally | str) -> str:
    """Say why stable, which has its share of the traffic, could not be measured; empty if it could."""
    if isinstance(stable, str):
        return f"stable: {stable}"
    known = (
        candidate.requests or tests.requests or any(each.dispersion.requests for each in tests.comparisons)
    )
    return "stable: the query finds no series" if known and not _has_series(reading.stable) else ""


def _has_series(reading: Reading) -> bool:
    return isinstance(reading, Counts | Latencies) and reading.series


def _added(
    metric: CountedMetric, tests: Tests, candidate: Tally, stable: Tally | None, rules: Rules
) -> Tests:
    """Add a window, weighed by what stable was like until now: it must not decide itself how it counts."""
    own = _watched(tests)
    tests = replace(
        tests,
        comparisons=tuple(_compared(metric, each, candidate, stable) for each in tests.comparisons),
        requests=tests.requests + candidate.requests,
        stable_requests=tests.stable_requests + (stable.requests if stable else 0),
    )
    if own is None or not candidate.knows(own.bound):
        return tests
    arm, temper = candidate.arm(own.bound), 1 / dispersion(own.dispersion)
    other = stable.arm(own.bound) if stable and stable.knows(own.bound) else evidence.Arm(0, 0)
    if (allowed := _allowed(metric, own.dispersion, rules)) is not None:
        tests = replace(tests, limit=evidence.above(tests.limit, arm, allowed, temper))
    if rules.settled and rules.comparable:
        tests = replace(tests, safe=evidence.safe(tests.safe, arm, other, rules.must_not_exceed, temper))
    return replace(tests, excess=max(tests.excess + arm.bad - _usual(arm, other, own.dispersion), 0.0))


def _compared(metric: CountedMetric, known: Comparison, candidate: Tally, stable: Tally | None) -> Comparison:
    if not candidate.knows(known.bound):
        return known
    own = candidate.arm(known.bound)
    if stable is None or not stable.knows(known.bound):
        return replace(known, bad=known.bad + own.bad)
    other, temper = stable.arm(known.bound), 1 / dispersion(known.dispersion)
    return replace(
        known,
        harm=evidence.worse(known.harm, own, other, metric.tolerate, temper),
        bad=known.bad + own.bad,
        stable_bad=known.stable_bad + other.bad,
        dispersion=observed(known.dispersion, other),
    )


def _allowed(metric: CountedMetric, stable: Dispersion, rules: Rules) -> float | None:
    """Give the share of the limit; with none, and nothing to compare with, what stable's past tolerates."""
    match metric:
        case RatioMetric(max=float(share)):
            return share
        case HistogramMetric(max=limit) if limit is not None:
            return 1 - limit.quantile
        case _ if rules.comparable or not stable.requests:
            return None
        case _:
            return min(metric.tolerate * (stable.bad + 1) / (stable.requests + 1), _LARGEST_LIMIT)


def _usual(candidate: evidence.Arm, stable: evidence.Arm, past: Dispersion) -> float:
    """Give the bad requests that stable would have had in the candidate's place.

    By its rate in this very window, which may be a bad one for both; of few
    requests in it no rate can be told, and the past stands in.
    """
    rate = past.bad / past.requests if past.requests else 0.0
    return candidate.requests * (stable.bad + PAST * rate) / (stable.requests + PAST)


def _measured(status: MetricStatus, tests: Tests, candidate: Tally, rules: Rules) -> MetricStatus:
    """Put the numbers into the status."""
    own = _watched(tests)
    strongest = _strongest(tests)
    here = candidate.requests if rules.settled else 0
    return replace(
        status,
        tests=tests,
        requests=status.requests + here,
        bad=status.bad + (candidate.arm(own.bound).bad if own and here else 0),
        value=_share(own.bad, tests.requests) if own else None,
        stable_value=_share(own.stable_bad, tests.stable_requests) if own else None,
        dispersion=round(dispersion(own.dispersion), 2) if own else None,
        odds=_as_odds(strongest.log_e) if strongest and tests.requests else None,
    )


def _strongest(tests: Tests) -> _Strongest | None:
    """Give the strongest of the tests that were made."""
    against_stable = [_Strongest(harm(tests.comparisons), by_limit=False)]
    against_limit = [_Strongest(log_mean_exp(tests.limit), by_limit=True)]
    compared = any(each.harm for each in tests.comparisons)
    made = (against_stable if compared else []) + (against_limit if tests.limit else [])
    return max(made, default=None)


def _doubtful(metric: CountedMetric, tests: Tests, rules: Rules) -> bool:
    """Tell whether a rise would go against the counts, which only an assumption about stable excuses.

    Until stable was seen for long enough its bad requests are taken for bursts,
    which keeps a good version from being rolled back. They are no reason to go on.
    """
    own = _watched(tests)
    if own is None or own.dispersion.windows >= ENOUGH:
        return False
    counted = evidence.Arm(tests.requests, own.bad)
    stable = evidence.Arm(tests.stable_requests, own.stable_bad)
    against = [evidence.worse((), counted, stable, metric.tolerate, 1.0)]
    if (allowed := _allowed(metric, own.dispersion, rules)) is not None:
        against.append(evidence.above((), counted, allowed, 1.0))
    return max(map(log_mean_exp, against)) >= math.log(LEANING)


def _harm(metric: CountedMetric, tests: Tests, rules: Rules) -> str:
    """Say how harm was shown; empty if it was not."""
    strongest = _strongest(tests)
    if strongest and strongest.log_e >= rules.needed:
        beyond = _beyond(metric, by_limit=strongest.by_limit)
        return f"{_described(tests, strongest)}: {beyond}, odds {_odds(strongest.log_e)}"
    if rules.budget is not None and tests.excess >= rules.budget:
        return f"{tests.excess:,.0f} bad requests beyond stable's rate, harmBudget is {rules.budget:,}"
    return ""


def _found(status: MetricStatus, tests: Tests, reading: Reading, rules: Rules) -> str:
    """Say what was found while nothing is shown yet."""
    if not tests.requests:
        note = reading.note if isinstance(reading, Counts | Latencies) else ""
        return "no requests yet" + (f", {note}" if note else "")
    strongest, needed = _strongest(tests), f"rolls back at {_odds(rules.needed)}"
    if strongest and leans(status):
        young = ", while stable is too new to be sure" if status.doubtful else ""
        leaning = f"leans towards harm{young}, odds {_odds(strongest.log_e)}"
        return f"{_described(tests, strongest)}: {leaning}, {needed}"
    found = _described(tests)
    if status.requests < rules.min_requests:
        return f"{found}; {status.requests:,} of {rules.min_requests:,} requests at this step so far"
    return f"{found}; odds of harm {_odds(strongest.log_e)}, {needed}" if strongest else found


def _watched(tests: Tests) -> Comparison | None:
    return next((each for each in tests.comparisons if each.bound == tests.watched), None)


def _described(tests: Tests, strongest: _Strongest | None = None) -> str:
    """Give the numbers of the bound that a test is about, else of the one that is watched."""
    watched_one = None if strongest and not strongest.by_limit else _watched(tests)
    lead = watched_one or worst(tests.comparisons)
    bad = "bad" if lead.bound is None else f"slower than {lead.bound:g}s"
    found = f"{_percent(lead.bad, tests.requests)} {bad} ({lead.bad:,} of {tests.requests:,} requests)"
    if not tests.stable_requests:
        return found
    usual = _percent(lead.stable_bad, tests.stable_requests)
    return f"{found}, stable {usual} ({lead.stable_bad:,} of {tests.stable_requests:,})"


def _beyond(metric: CountedMetric, *, by_limit: bool) -> str:
    if not by_limit:
        return f"more than {metric.tolerate:g} times stable's"
    match metric:
        case RatioMetric(max=float(share)):
            return f"more than the {format_share(share)} allowed"
        case HistogramMetric(max=limit) if limit is not None:
            return f"more than the {format_share(1 - limit.quantile)} allowed"
        case _:
            return f"more than {metric.tolerate:g} times what stable used to have"


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _percent(part: int, whole: int) -> str:
    """Write a share with two digits: the counts are beside it."""
    return format_share(float(f"{part / whole:.2g}"))


def _as_odds(log_e: float) -> float:
    return float(f"{math.exp(min(log_e, _LARGEST_SHOWN)):.3g}")


def _odds(log_e: float) -> str:
    """Write evidence as odds: `812:1`, `1:30`."""
    if abs(log_e) > _LARGEST_SHOWN:
        return "over 1,000,000:1" if log_e > 0 else "under 1:1,000,000"
    rounded = float(f"{math.exp(abs(log_e)):.3g}")
    return f"{rounded:,.0f}:1" if log_e >= 0 else f"1:{rounded:,.0f}"
