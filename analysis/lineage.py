"""Which versions served when, as their series tell: releases of the past are found by it."""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.diagnosis import Condition, Selector, selectors_in
from analysis.history import Instant, instants
from analysis.queries import Query, Subject
from analysis.samples import Failure
from analysis.survey import Asked
from config.metrics import Analysis, HistogramMetric, Metric, RatioMetric
from config.placeholders import TELLING_APART, placeholders_in, resolve


AGAIN = dt.timedelta(hours=1)
"""A version that was gone for longer, while others were there, is released once more."""

_MOST_LOOKS = 5000
_LEAST_STEP = dt.timedelta(minutes=1)
_PIECE = dt.timedelta(days=1)
_OWN = TELLING_APART | {"stable"}


class NoHistoryError(ValueError):
    """The past cannot be read; the message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Who was there in a short time."""

    since: dt.datetime
    at: dt.datetime
    requests: Mapping[str, float]
    """By version; 0: its series were there, and did not count."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which one version served most requests."""

    version: str
    begin: dt.datetime
    end: dt.datetime


@dataclass(frozen=True, slots=True)
class Appearance:
    """A version that came while another one served."""

    version: str
    stable: str
    begin: dt.datetime
    """Before its first request; if it had none: before its series."""
    shared: dt.datetime
    """Until then both answered requests."""
    gone: dt.datetime
    """When it was last seen, or when the next version came."""
    asked: bool
    """It answered requests."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The label that names the version, and the counters that have it."""

    label: str
    selectors: tuple[Selector, ...]

    def queries(self, step: dt.timedelta) -> tuple[Query, Query]:
        """Ask for the series of each version, and for its requests, in the last `step`."""
        span = f"{math.ceil(step.total_seconds())}s"

        def all_of(function: str) -> str:
            return " or ".join(f"{function}({selector}[{span}])" for selector in self.selectors)

        return (
            Query("series", f"count by ({self.label}) ({all_of('present_over_time')})"),
            Query("requests", f"sum by ({self.label}) ({all_of('increase')})"),
        )


def lineage(analysis: Analysis, subject: Subject, label: str | None) -> Lineage:
    """Find the counter by which versions can be told, with what tells them apart taken out of it.

    Args:
        analysis: The first of its counted metrics that names a version by a label is taken.
        subject: What the other placeholders stand for.
        label: The version's label, where it cannot be told from the metrics.

    Raises:
        NoHistoryError: no metric counts requests by version.

    """
    for metric in analysis.metrics:
        found = selectors_in(counting(metric))
        named = label or next(filter(None, map(_version_label, found)), None)
        if found and named:
            values = subject.values("stable")
            return Lineage(named, tuple(_of_all(metric, each, named, values) for each in found))
    raise NoHistoryError(
        "no metric tells versions apart by a label: name the one that has the version with --version-label"
        if any(map(counting, analysis.metrics))
        else "no metric counts requests: queries alone say nothing about the past of a version"
    )


def look_back(
    evidence: Asked, line: Lineage, since: dt.datetime, until: dt.datetime, on_day: Callable[[], None]
) -> tuple[Sighting, ...]:
    """See which versions were there, over all the time; instants without any are left out.

    Raises:
        NoHistoryError: Prometheus did not answer, or refuses the query.

    """
    step = max(_LEAST_STEP, (until - since) / _MOST_LOOKS)
    step = dt.timedelta(seconds=math.ceil(step.total_seconds()))
    queries, found, at = line.queries(step), list[Sighting](), since + step
    while at <= until:
        end = min(until, at + _PIECE)
        histories = evidence.history(queries, at, end, step)
        for failure in histories.values():
            if isinstance(failure, Failure):
                raise NoHistoryError(failure.reason)
        found += (_sighting(step, line.label, each) for each in instants(histories))
        at += (int((end - at) / step) + 1) * step
        on_day()
    return tuple(sighting for sighting in found if sighting.requests)


def stretches(sightings: Sequence[Sighting]) -> tuple[Stretch, ...]:
    """Divide the time by who served."""
    found: list[Stretch] = []
    for _, sighting, version in _served(sightings):
        if found and found[-1].version == version:
            found[-1] = replace(found[-1], end=sighting.at)
        else:
            found.append(Stretch(version, sighting.since, sighting.at))
    return tuple(found)


def appearances(sightings: Sequence[Sighting]) -> tuple[Appearance, ...]:
    """Find every version that came while another one served; what was there from the start is none."""
    found: list[Appearance] = []
    last_seen: dict[str, dt.datetime] = {}
    served = ""
    for at, (before, sighting, serving) in enumerate(_served(sightings)):
        last_seen |= dict.fromkeys(before.requests, before.at)
        stable = served or serving
        found += (
            _appearance(version, stable, sightings[at:])
            for version in sorted(sighting.requests.keys() - {stable})
            if version not in last_seen or before.at - last_seen[version] > AGAIN
        )
        served = serving
    ends = [each.begin for each in found[1:]] + [sightings[-1].at] if found else []
    return tuple(
        replace(each, gone=min(each.gone, end)) if end > each.begin else each
        for each, end in zip(found, ends, strict=True)
    )


def counting(metric: Metric) -> str:
    """Give the expression of the counters that say how many requests there were; empty: it has none."""
    match metric:
        case RatioMetric():
            return metric.ratio.total
        case HistogramMetric():
            return metric.histogram.buckets
        case _:
            return ""


def _version_label(selector: Selector) -> str | None:
    names = {"version", "candidate"}
    return next(
        (each.label for each in selector.conditions if not names.isdisjoint(placeholders_in(each.text))), None
    )


def _of_all(metric: Metric, selector: Selector, label: str, values: Mapping[str, str]) -> Selector:
    """Give the selector of all versions."""
    kept = [each for each in selector.conditions if _OWN.isdisjoint(placeholders_in(each.text))]
    filled = [Condition(each.label, resolve(each.text, values)) for each in kept]
    if isinstance(metric, HistogramMetric):
        filled.append(Condition("le", 'le="+Inf"'))
    return selector.only(*filled, Condition(label, f'{label}!=""'))


def _sighting(step: dt.timedelta, label: str, found: Instant) -> Sighting:
    requests: dict[str, float] = {}
    for query in ("series", "requests"):
        answer = found.answers.get(query, ())
        for sample in () if isinstance(answer, Failure) else answer:
            version = sample.labels.get(label, "")
            requests[version] = sample.value if query == "requests" and math.isfinite(sample.value) else 0.0
    return Sighting(found.at - step, found.at, requests)


def _served(sightings: Sequence[Sighting]) -> Iterator[tuple[Sighting, Sighting, str]]:
    """Give each sighting with the one before and the version that served most requests in it."""
    serving = ""
    for at, sighting in enumerate(sightings):
        most = max(sighting.requests.values())
        if most > 0 or serving not in sighting.requests:
            serving = min(version for version, requests in sighting.requests.items() if requests == most)
        yield sightings[max(at - 1, 0)], sighting, serving


def _appearance(version: str, stable: str, since: Sequence[Sighting]) -> Appearance:
    """Follow a version from its first sighting on."""
    gone = since[0].at
    asked = [each for each in since if each.requests.get(version, 0) > 0]
    for sighting in since:
        if version in sighting.requests:
            gone = sighting.at
        elif sighting.at - gone > AGAIN:
            break
    asked = [each for each in asked if each.at <= gone]
    both = [each.at for each in asked if each.requests.get(stable, 0) > 0]
    first = (asked or since)[0]
    return Appearance(version, stable, first.since, max(both, default=first.at), gone, asked=bool(asked))
