"""Good enough, bad, or not known: one window in, one verdict out.

All counted metrics share one bound on the chance of a false rollback. Harm
counts from the first request; what speaks for the candidate counts once the
routes have settled. What was not measured is neither a pass nor a failure.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from analysis import split, weighing
from analysis.limits import bounds, check
from analysis.readings import Counts, Latencies, MetricReading
from analysis.samples import Failure
from analysis.verdict import Judgement, Memory
from analysis.weighing import Rules, limits, not_yet_safe, weigh
from analysis.window import Window
from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric
from config.quantities import format_share
from config.status import Comparison, HeldReason, MetricStatus, Phase, Tests, Verdict, Weighed


_LEAST_SHARE = 0.001
"""A request in a thousand may be a probe's, even at 0 and 100%."""
_EARLY = "how the requests are divided is seen after a whole scrape of {:g}s"


def judge(analysis: Analysis, memory: Memory, window: Window) -> Judgement:
    """Weigh one window together with what `memory` holds of the earlier ones.

    The same arguments give the same judgement, to the last digit. A metric that
    `memory` does not know, or that was held to something else, starts afresh,
    but what is known of stable stays known.
    """
    memory = _here(memory, window)
    before = {metric.name: _known(metric, memory) for metric in analysis.metrics}
    comparable = window.weight < 100
    rules = Rules.of(analysis, settled=window.settled, comparable=comparable)
    metrics = tuple(_judged(metric, before[metric.name], window, rules) for metric in analysis.metrics)
    weighed = _counted(analysis, memory.weighed, before, window)
    acting = [metric for metric in metrics if not metric.dry_run]
    acts = bool(acting) and not analysis.dry_run
    verdict, because = _together(acting or metrics)
    waits_for = None
    if acts:
        divided = _divided(analysis, weighed, window)
        waits_for, because = _waits_for(analysis, acting, (verdict, because), divided)
        if waits_for is None and (unsafe := _unsafe(analysis, window, acting)):
            waits_for, because = HeldReason.TOO_FEW_REQUESTS, unsafe
    counts = [_tally(window.readings[metric.name], metric) for metric in metrics]
    return Judgement(
        verdict=verdict,
        because=because,
        waits_for=waits_for,
        memory=Memory(metrics, weighed),
        requests=max(requests for requests, _ in counts),
        bad=max(bad for _, bad in counts),
        excess=max(_excess(metric) for metric in metrics),
        at=window.until,
        answered=not any(_failures(analysis, window)),
        acts=acts,
    )


def limit_of(metric: Metric) -> str:
    """Write a metric's limit as people say it."""
    return bounds(metric) if isinstance(metric, QueryMetric) else limits(metric)


def leans(metric: MetricStatus) -> bool:
    """Tell whether the evidence leans towards harm, although it may not be shown yet."""
    return metric.failures > 0 or weighing.leans(metric)


def _here(memory: Memory, window: Window) -> Memory:
    """Take out what belongs to an earlier step."""
    weighed = memory.weighed
    if (weighed.phase, weighed.weight) == (window.phase, window.weight):
        return memory
    metrics = tuple(
        replace(
            metric,
            requests=0,
            bad=0,
            passes=0,
            tests=replace(metric.tests, safe=()) if metric.tests else None,
        )
        for metric in memory.metrics
    )
    here = replace(weighed, phase=window.phase, weight=window.weight, candidate=0, stable=0, seconds=0.0)
    return Memory(metrics, here)


def _known(metric: Metric, memory: Memory) -> MetricStatus:
    """Give what is remembered of a metric; of one that was held to something else, only how stable was."""
    limit = limit_of(metric)
    afresh = MetricStatus(metric.name, limit=limit)
    known = next((each for each in memory.metrics if each.name == metric.name), afresh)
    comparisons = known.tests.comparisons if known.tests else ()
    by_bounds = isinstance(metric, HistogramMetric)
    if any((each.bound is not None) is not by_bounds for each in comparisons):
        return afresh
    if known.limit == limit:
        return known
    if isinstance(metric, QueryMetric):
        return afresh
    of_stable = tuple(Comparison(each.bound, dispersion=each.dispersion) for each in comparisons)
    return replace(afresh, tests=Tests(comparisons=of_stable))


def _judged(metric: Metric, before: MetricStatus, window: Window, rules: Rules) -> MetricStatus:
    """Judge one metric; harm that was shown stays shown, whatever is measured now."""
    reading = window.readings[metric.name]
    before = replace(before, dry_run=metric.dry_run)
    if isinstance(metric, QueryMetric):
        after = check(metric, before, reading, settled=window.settled)
    else:
        after = weigh(metric, before, reading, rules)
    if after.verdict is not Verdict.HARMFUL and before.verdict is Verdict.HARMFUL:
        after = replace(after, verdict=Verdict.HARMFUL, message=before.message)
    if after.verdict is Verdict.HARMFUL and after.would_roll_back_at is None and metric.dry_run:
        return replace(after, would_roll_back_at=window.until)
    return after


def _together(metrics: Sequence[MetricStatus]) -> tuple[Verdict, str]:
    """Give the worst verdict, and the metric that it is about with its numbers."""
    for verdict in (Verdict.HARMFUL, Verdict.BLIND, Verdict.UNDECIDED):
        if named := [metric for metric in metrics if metric.verdict is verdict]:
            return verdict, _said(max(named, key=_strength))
    return Verdict.SAFE, "every metric is shown to be safe"


def _waits_for(
    analysis: Analysis,
    metrics: Sequence[MetricStatus],
    found: tuple[Verdict, str],
    divided: tuple[HeldReason | None, str],
) -> tuple[HeldReason | None, str]:
    """Say why the step may not be left, and in which words."""
    verdict, because = found
    if verdict is Verdict.HARMFUL:
        return HeldReason.OUT_OF_BOUNDS, because
    if verdict is Verdict.BLIND:
        return HeldReason.BLIND, because
    if divided[0] is HeldReason.SPLIT_MISMATCH:
        return divided
    if leaning := [metric for metric in metrics if leans(metric)]:
        return HeldReason.OUT_OF_BOUNDS, _said(max(leaning, key=_strength))
    if few := [metric for metric in metrics if not _enough(metric, analysis.min_requests)]:
        return HeldReason.TOO_FEW_REQUESTS, _said(min(few, key=lambda metric: metric.requests))
    return divided if divided[0] else (None, because)


def _unsafe(analysis: Analysis, window: Window, metrics: Sequence[MetricStatus]) -> str:
    """Say which evidence the step still asks for; at 0 and 100% nothing can be compared."""
    if analysis.advance != "Evidence" or window.phase is not Phase.SHIFTING or not 0 < window.weight < 100:
        return ""
    unsafe = next((metric for metric in metrics if metric.verdict is not Verdict.SAFE), None)
    return f"{_said(unsafe)}; {not_yet_safe(unsafe)}" if unsafe else ""


def _enough(metric: MetricStatus, min_requests: int) -> bool:
    return metric.requests >= min_requests if metric.tests else metric.passes > 0


def _said(metric: MetricStatus) -> str:
    return f"{metric.name}: {metric.message}"


def _strength(metric: MetricStatus) -> float:
    """Order metrics by what speaks against them."""
    return float(metric.failures) if metric.odds is None else metric.odds


def _excess(metric: MetricStatus) -> float:
    return metric.tests.excess if metric.tests else 0.0


def _tally(reading: MetricReading, metric: MetricStatus) -> tuple[int, int]:
    """Give the candidate's requests of the window and the bad ones."""
    match reading.candidate:
        case Counts(requests=requests, bad=bad):
            return requests, bad
        case Latencies(requests=requests, slower=slower):
            bound = metric.tests.watched if metric.tests else None
            return requests, dict(slower).get(bound or 0.0, 0)
        case _:
            return 0, 0


def _failures(analysis: Analysis, window: Window) -> Iterator[bool]:
    """Tell for all that decides whether it could not be asked."""
    for metric in analysis.metrics:
        reading = window.readings[metric.name]
        if not metric.dry_run:
            yield isinstance(reading.candidate, Failure)
            compared = not isinstance(metric, QueryMetric) and window.weight < 100
            yield compared and isinstance(reading.stable, Failure)


def _counted(
    analysis: Analysis, weighed: Weighed, before: Mapping[str, MetricStatus], window: Window
) -> Weighed:
    """Count requests by version, of the first metric that counts any for both.

    After a window that could not be measured, the counts of one version may
    reach further back than the other's.
    """
    weighed = replace(weighed, windows=weighed.windows + 1)
    if not window.settled or window.phase not in {Phase.SHIFTING, Phase.BAKING}:
        return weighed
    for metric in analysis.metrics:
        match window.readings[metric.name]:
            case MetricReading(
                candidate=Counts() | Latencies() as candidate, stable=Counts() | Latencies() as stable
            ) if before[metric.name].verdict is not Verdict.BLIND:
                return replace(
                    weighed,
                    candidate=weighed.candidate + candidate.requests,
                    stable=weighed.stable + stable.requests,
                    seconds=weighed.seconds + _length(window),
                )
            case _:
                continue
    return weighed


def _length(window: Window) -> float:
    return (window.until - window.since).total_seconds() if window.since else 0.0


def _divided(analysis: Analysis, weighed: Weighed, window: Window) -> tuple[HeldReason | None, str]:
    """Say that the gateway does not divide the requests as it was asked to, or that it is too early to tell.

    In any time each version is scraped so many times, or once more.
    """
    every = weighed.scrape or analysis.interval.total_seconds()
    scrapes = weighed.seconds // every
    if not scrapes:
        early = bool(weighed.seconds) and 0 < window.weight < 100
        return (HeldReason.TOO_FEW_REQUESTS, _EARLY.format(every)) if early else (None, "")
    total = weighed.candidate + weighed.stable
    asked, got = window.weight / 100, weighed.candidate / max(total, 1)
    if abs(got - asked) <= _LEAST_SHARE:
        return None, ""
    share = min(max(asked, _LEAST_SHARE), 1 - _LEAST_SHARE)
    against = split.mismatch(
        weighed.candidate, weighed.stable, share, testers=window.testers, apart=(scrapes + 1) / scrapes
    )
    if against < math.log(split.ODDS):
        return None, ""
    if got > asked:
        doubt = "does another route, a subset without pods, a cache or a probe reach these pods?"
    else:
        doubt = (
            "does the route's subset find the candidate's pods, and do its metrics tell the versions apart?"
        )
    said = (
        f"asked for {format_share(asked)}, but the candidate answered {format_share(got)} "
        f"({weighed.candidate:,} of {total:,} requests): {doubt}"
    )
    return HeldReason.SPLIT_MISMATCH, said
