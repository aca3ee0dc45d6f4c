"""One or many meanings of "bad": an error, or slower than a bucket bound, for every bound there is.

A quantile that was interpolated between buckets cannot be tested. So every bound
makes a comparison of its own, and their evidence is averaged, which is evidence
again however they depend on each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.evidence import Arm, log_mean_exp
from analysis.readings import Counts, Latencies
from config.metrics import CountedMetric, HistogramMetric
from config.status import Comparison


SEEN_AT_TIMES = 0.01
"""Without a limit, safety is judged by the largest bound that this share of stable's requests exceeds."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One version in one window: bad requests by bound; the bound of a ratio is None."""

    requests: int
    bad: Mapping[float | None, int]

    def knows(self, bound: float | None) -> bool:
        """Tell whether bad requests can be counted in this sense; of no requests none is bad."""
        return not self.requests or bound in self.bad

    def arm(self, bound: float | None) -> Arm:
        """Give the requests and those that were bad in this sense; only if `knows` it."""
        return Arm(self.requests, self.bad[bound] if self.requests else 0)


def tally(reading: Counts | Latencies) -> Tally:
    """Bring both kinds of counts into one form."""
    if isinstance(reading, Counts):
        return Tally(reading.requests, {None: reading.bad})
    return Tally(reading.requests, dict(reading.slower))


def aligned(known: Sequence[Comparison], tallies: Sequence[Tally]) -> tuple[Comparison, ...]:
    """Give the comparisons to go on with: the known ones, else one for each bound that all tallies have.

    A tally without any bound has seen no series, and has no say.
    """
    bounds = [set(each.bad) for each in tallies if each.bad]
    if known or not bounds:
        return tuple(known)
    shared = bounds[0].intersection(*bounds[1:])
    return tuple(Comparison(bound) for bound in sorted(shared, key=lambda bound: bound or 0.0))


def watched(metric: CountedMetric, comparisons: Sequence[Comparison]) -> float | None:
    """Choose the bound that the limit, safety and the budget are about.

    None for a ratio, and for a histogram without a limit as long as too few of
    stable's requests are known to say which bounds it exceeds at times.
    """
    if not isinstance(metric, HistogramMetric):
        return None
    if metric.max is not None:
        return metric.max.seconds
    if not comparisons or any(each.dispersion.requests * SEEN_AT_TIMES < 1 for each in comparisons):
        return None
    exceeded = [
        each.bound for each in comparisons if each.dispersion.bad >= SEEN_AT_TIMES * each.dispersion.requests
    ]
    return (exceeded or [comparisons[0].bound])[-1]


def harm(comparisons: Sequence[Comparison]) -> float:
    """Give ln E of all comparisons together: the logarithm of the mean of their evidence."""
    return log_mean_exp([log_mean_exp(each.harm) for each in comparisons])


def worst(comparisons: Sequence[Comparison]) -> Comparison:
    """Give the comparison with the strongest evidence of harm; one that was never made has none."""
    return max(comparisons, key=lambda each: (bool(each.harm), log_mean_exp(each.harm)))
