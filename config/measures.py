"""The kinds of metrics as they are judged, and as templates have them: without a name."""

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    Tag,
    model_validator,
)

from config.expressions import CounterExpression, Expression
from config.model import Model, Number
from config.names import Label
from config.problems import FieldError, found
from config.quantities import Share


class Ratio(Model):
    """Two counters; expressions that give raw counters, one series per pod, no rate()."""

    bad: CounterExpression
    """Counts the bad requests."""
    total: CounterExpression
    """Counts all requests, the bad ones included."""


class Histogram(Model):
    """The raw `_bucket` counters of a histogram, with their `le` label, no rate()."""

    buckets: CounterExpression
    """All buckets, `le="+Inf"` included."""


def _fraction(quantile: float) -> float:
    if 1 <= quantile < 100:
        raise ValueError(f"found {quantile:g}; write {quantile / 100:g}")
    if not 0 < quantile < 1:
        raise ValueError(f"found {quantile:g}; a quantile is more than 0 and less than 1")
    return quantile


class LatencyLimit(Model):
    """At least `quantile` of the requests take at most `seconds` (a bucket bound)."""

    quantile: Annotated[Number, AfterValidator(_fraction)]
    """0.99 for 99 of 100 requests."""
    seconds: Number = Field(gt=0)
    """One of the histogram's bucket bounds."""


def _tolerable(ratio: float) -> float:
    if ratio < 1:
        raise ValueError(f"found {ratio:g}; at least 1, as bad as stable; 1.5 is half as bad again")
    return ratio


def _latency(given: object) -> object:
    if given is None or isinstance(given, dict | LatencyLimit):
        return given
    raise ValueError(f"{found(given)}; a latency limit looks like {{quantile: 0.99, seconds: 0.5}}")


Tolerance = Annotated[Number, Field(le=1000, json_schema_extra={"minimum": 1}), AfterValidator(_tolerable)]
FailureLimit = Annotated[StrictInt, Field(ge=1, le=100)]


class _Measure(Model):
    dry_run: StrictBool = False
    """Judge it and report, but never act on it."""


class Counted(_Measure):
    """Judged by counting requests."""

    tolerate: Tolerance = 1.5
    """How many times as often as stable's the candidate's requests may be bad; at least 1."""

    @model_validator(mode="before")
    @classmethod
    def _not_in_a_row(cls, given: object) -> object:
        if isinstance(given, dict) and "failureLimit" in given:
            raise FieldError(
                "only a query fails several times in a row; here requests are counted, "
                "and max, tolerate and falseRollbackRate say when it goes back",
                "failureLimit",
            )
        return given


class RatioTemplate(Counted):
    """Bad requests among all requests."""

    ratio: Ratio
    max: Share | None = None
    """The largest share of bad requests that is acceptable, whatever stable does."""


class HistogramTemplate(Counted):
    """Slow requests among all requests: the whole distribution is compared with stable's."""

    histogram: Histogram
    max: Annotated[LatencyLimit | None, BeforeValidator(_latency)] = None
    """The slowest that is acceptable, whatever stable does."""


class QueryTemplate(_Measure):
    """Any PromQL expression that gives one number."""

    query: Expression
    """The expression; no series is no data, several series are an error."""
    max: Number | None = None
    """The largest value that is acceptable."""
    min: Number | None = None
    """The smallest value that is acceptable."""
    failure_limit: FailureLimit = 3
    """How many failures in a row roll back."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("say max, min or both; without a bound the query decides nothing")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise FieldError(f"found {self.min:g}, which is above max {self.max:g}", "min")
        return self


class _Named(Model):
    name: Label
    """How the metric is called in status and messages."""


class RatioMetric(RatioTemplate, _Named):
    """Bad requests among all requests."""


class HistogramMetric(HistogramTemplate, _Named):
    """Slow requests among all requests: the whole distribution is compared with stable's."""


class QueryMetric(QueryTemplate, _Named):
    """Any PromQL expression that gives one number."""


EXACTLY_ONE = "a metric has exactly one of preset, templateRef, ratio, histogram and query"

_KINDS = ("preset", "templateRef", "ratio", "histogram", "query")


def kind_of_metric(value: object) -> str | None:
    """Give the tag of the one kind that a metric is of; None if it is of none or of several."""
    given = [kind for kind in _KINDS if (kind in value if isinstance(value, dict) else hasattr(value, kind))]
    return f"#{given[0]}" if len(given) == 1 else None


Metric = Annotated[
    Annotated[RatioMetric, Tag("#ratio")]
    | Annotated[HistogramMetric, Tag("#histogram")]
    | Annotated[QueryMetric, Tag("#query")],
    Discriminator(kind_of_metric, custom_error_type="metric_kind", custom_error_message=EXACTLY_ONE),
]
"""A metric as it is judged."""
CountedMetric = RatioMetric | HistogramMetric
"""The ones that are judged by counting requests."""
MetricTemplateSpec = Annotated[
    Annotated[RatioTemplate, Tag("#ratio")]
    | Annotated[HistogramTemplate, Tag("#histogram")]
    | Annotated[QueryTemplate, Tag("#query")],
    Discriminator(
        kind_of_metric,
        custom_error_type="metric_kind",
        custom_error_message="exactly one of ratio, histogram and query is needed",
    ),
]
"""A metric without a name, and with variables in its expressions."""
