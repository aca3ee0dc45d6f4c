"""What a Canary measures, and when that is bad enough to go back."""

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from config.measures import CountedMetric, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.model import Model, Number
from config.problems import FieldError, found
from config.quantities import Duration, format_duration, parse_share
from config.written import WrittenMetric, as_judged


__all__ = [
    "Analysis",
    "CountedMetric",
    "HistogramMetric",
    "Metric",
    "QueryMetric",
    "RatioMetric",
]

_AnyMetric = Annotated[Metric, WrapValidator(as_judged, json_schema_input_type=WrittenMetric)]


class Blind(Model):
    """What to do when nothing can be measured for long."""

    after: Duration = dt.timedelta(minutes=5)
    """How long."""
    then: Literal["Hold", "Retreat", "Rollback"] = "Retreat"
    """Stay, go back to the lowest step, or roll back."""


def _rate(given: object) -> float:
    rate = parse_share(given)
    if rate > 0.5:
        raise ValueError(f"{found(given)}; at most 50%: 1% is one good release in a hundred")
    return rate


class Analysis(Model):
    """What is measured, and when it is bad enough to go back."""

    interval: Duration = dt.timedelta(seconds=10)
    """How often evidence is weighed; at least 1s."""
    min_requests: StrictInt = Field(default=100, ge=1)
    """Requests that the candidate must have answered at a step before it is left."""
    false_rollback_rate: Annotated[float, BeforeValidator(_rate), WithJsonSchema({})] = 0.01
    """The largest chance that a whole rollout of a version no worse than tolerated is rolled back."""
    advance: Literal["Soak", "Evidence"] = "Soak"
    """Evidence: a step ends as soon as every metric is shown to be safe, and not before."""
    must_not_exceed: Number = Field(default=3, gt=1.25, le=1000)
    """Safe is shown by evidence that the candidate is not this many times worse than stable."""
    harm_budget: StrictInt | None = Field(default=None, ge=1)
    """Failed or slow requests in excess of stable's rate that a rollout may cost; then it is rolled back."""
    settle: Duration | None = None
    """After a change of weight, what is measured proves nothing good for this long; default: two scrapes."""
    blind: Blind = Blind()
    dry_run: StrictBool = False
    """Judge and report, but never act on verdicts: steps pass by time alone."""
    metrics: tuple[_AnyMetric, ...] = Field(min_length=1, max_length=32)
    """Any of them can send the candidate back; all of them must pass before its weight rises."""

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.interval < dt.timedelta(seconds=1):
            raise FieldError(f"found {format_duration(self.interval)}; must be at least 1s", "interval")
        names = [metric.name for metric in self.metrics]
        for at, name in enumerate(names):
            if name in names[:at]:
                message = f"found {name!r}, which metrics[{names.index(name)}] is called already"
                raise FieldError(message, "metrics", at, "name")
        return self
