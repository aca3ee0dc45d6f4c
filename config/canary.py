"""The `Canary` resource as people write it.

One truth: the custom resource definition, the reference and the validation all
come from these models. Unknown fields are refused; every error names its path.
"""

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic.alias_generators import to_camel

from config.quantities import Duration, Share


GROUP = "crossfade.dev"
VERSION = "v1alpha1"
PLURAL = "canaries"
KIND = "Canary"

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
Label = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
]
LabelKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=317,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    ),
]
Approval = Literal["Manual", "Automatic"]


class Model(BaseModel):
    """Frozen, closed, camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True
    )


class Workload(Model):
    """Which Deployments of the Canary's namespace serve the application."""

    selector: dict[LabelKey, Label] = Field(min_length=1)
    """Labels that all Deployments of the application carry in their pod template."""
    version_label: LabelKey = "version"
    """The pod label that names the version; also the key of the Upstream's subsets."""
    version: Label | None = None
    """The version that should serve. Omitted: the newest Deployment."""
    stable: Label | None = None
    """The version that serves today. Only needed where the routes and Deployments do not tell."""


class UpstreamRef(Model):
    """The Gloo Upstream of the application."""

    name: Name
    namespace: Name


class RouteRef(Model):
    """An object whose routes lead to the Upstream."""

    kind: Literal["VirtualService"] = "VirtualService"
    name: Name
    namespace: Name


class ValueMatch(Model):
    """A header or query parameter: equal to `value`, matching `regex`, or just `present`."""

    name: str = Field(min_length=1, max_length=256, pattern=r"^[!-~]+$")
    value: str | None = Field(default=None, min_length=1, max_length=1024)
    """The exact value."""
    regex: str | None = Field(default=None, min_length=1, max_length=1024)
    """An RE2 expression that the whole value matches."""
    present: Literal[True] | None = None
    """Any value will do."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(given is not None for given in (self.value, self.regex, self.present)) != 1:
            raise ValueError("say exactly one of value, regex and present: true")
        return self


class TestingMatch(Model):
    """Requests that reach the candidate during canary testing; all conditions must hold."""

    headers: tuple[ValueMatch, ...] = Field(default=(), max_length=16)
    query_parameters: tuple[ValueMatch, ...] = Field(default=(), max_length=16)
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...] = ()

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.headers or self.query_parameters or self.methods):
            raise ValueError(
                "an empty match would send everybody to the candidate; name a header, for example"
            )
        return self


class Testing(Model):
    """Phase 1: only matching requests reach the candidate."""

    match: tuple[TestingMatch, ...] = Field(min_length=1, max_length=16)
    """Alternatives: a request that fits any of them reaches the candidate."""
    duration: Duration = dt.timedelta(0)
    """Test at least this long."""
    requests: int = Field(default=0, ge=0)
    """See at least this many requests answered by the candidate."""
    approval: Approval = "Automatic"
    """`Manual`: wait for `crossfade approve` before any user is moved."""


class Step(Model):
    """One weight on the way to 100, with exceptions from what holds for all steps."""

    weight: int = Field(ge=1, le=100)
    interval: Duration | None = None
    """Least soak at this weight; default: `shifting.interval`."""
    approval: Approval = "Automatic"
    """`Manual`: wait for `crossfade approve` before leaving this step."""


class Ramp(Model):
    """Steps by arithmetic: start, start + increment, ... up to max, then 100."""

    start: int = Field(default=5, ge=1, le=100)
    increment: int = Field(ge=1, le=100)
    max: int = Field(default=100, ge=1, le=100)

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if self.start > self.max:
            raise ValueError(f"start {self.start} lies above max {self.max}")
        return self


def _kind_of_steps(value: object) -> str:
    return "ramp" if isinstance(value, dict | Ramp) else "list"


Steps = Annotated[
    Annotated[tuple[int | Step, ...], Tag("list"), Field(min_length=1, max_length=100)]
    | Annotated[Ramp, Tag("ramp")],
    Discriminator(_kind_of_steps),
]


class Shifting(Model):
    """Phase 2: weighted destinations move everybody over, step by step."""

    steps: Steps = (5, 10, 25, 50, 100)
    """Weights that rise, or `{start, increment, max}`. 100 always ends the list, written or not."""
    interval: Duration = dt.timedelta(minutes=1)
    """Least soak at each step, counted from the moment Gloo has accepted the weight."""
    timeout: Duration = dt.timedelta(minutes=30)
    """A step that has not passed by then is reported as held, for a human to look at."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if isinstance(self.steps, Ramp):
            return self
        weights = [step.weight if isinstance(step, Step) else step for step in self.steps]
        for at, weight in enumerate(weights):
            if not 1 <= weight <= 100:
                raise ValueError(f"steps[{at}]: found weight {weight}; a weight is 1 to 100")
            if at and weight <= weights[at - 1]:
                raise ValueError(f"steps[{at}]: found {weight} after {weights[at - 1]}; weights must rise")
        return self

    def ladder(self) -> tuple[Step, ...]:
        """Give the steps in rising order; the last one is always 100."""
        if isinstance(self.steps, Ramp):
            weights = range(self.steps.start, self.steps.max + 1, self.steps.increment)
            steps = tuple(Step(weight=weight) for weight in weights)
        else:
            steps = tuple(step if isinstance(step, Step) else Step(weight=step) for step in self.steps)
        return steps if steps[-1].weight == 100 else (*steps, Step(weight=100))


class Baking(Model):
    """After 100%: stable kept warm, one move away."""

    duration: Duration = dt.timedelta(0)


class Ratio(Model):
    """Two counters; expressions that give raw counters, one series per pod, no rate()."""

    bad: str = Field(min_length=1, max_length=4096)
    total: str = Field(min_length=1, max_length=4096)


class Histogram(Model):
    """The raw `_bucket` counters of a histogram, with their `le` label, no rate()."""

    buckets: str = Field(min_length=1, max_length=4096)


class LatencyLimit(Model):
    """At least `quantile` of the requests take at most `seconds` (a bucket bound)."""

    quantile: float = Field(gt=0, lt=1)
    seconds: float = Field(gt=0)


class _Metric(Model):
    name: str = Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
    failure_limit: int = Field(default=3, ge=1, le=100)
    """How many failures in a row roll back."""


class RatioMetric(_Metric):
    """Bad requests among all requests."""

    ratio: Ratio
    max: Share = Field(gt=0, lt=1)
    """The largest share of bad requests that is acceptable."""


class HistogramMetric(_Metric):
    """Slow requests among all requests."""

    histogram: Histogram
    max: LatencyLimit


class QueryMetric(_Metric):
    """Any PromQL expression that gives one number."""

    query: str = Field(min_length=1, max_length=4096)
    max: float | None = None
    min: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.max is None and self.min is None:
            raise ValueError("say max, min or both; without a bound the query decides nothing")
        if self.max is not None and self.min is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} lies above max {self.max:g}")
        return self


def _kind_of_metric(value: object) -> str | None:
    kinds = ("ratio", "histogram", "query")
    if isinstance(value, dict):
        given = [kind for kind in kinds if kind in value]
        return given[0] if len(given) == 1 else None
    return next((kind for kind in kinds if hasattr(value, kind)), None)


Metric = Annotated[
    Annotated[RatioMetric, Tag("ratio")]
    | Annotated[HistogramMetric, Tag("histogram")]
    | Annotated[QueryMetric, Tag("query")],
    Discriminator(
        _kind_of_metric,
        custom_error_type="metric_kind",
        custom_error_message="a metric has exactly one of ratio, histogram and query",
    ),
]


class Analysis(Model):
    """What is measured, and when it is bad enough to go back."""

    interval: Duration = dt.timedelta(seconds=10)
    """How often evidence is weighed; at least 1s."""
    min_requests: int = Field(default=100, ge=1)
    """Requests that the candidate must have answered before a ratio or a histogram may pass."""
    metrics: tuple[Metric, ...] = Field(min_length=1, max_length=32)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if self.interval < dt.timedelta(seconds=1):
            raise ValueError("interval: must be at least 1s")
        names = [metric.name for metric in self.metrics]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise ValueError(f"metrics[{at}].name: {name!r} is taken by metrics[{names.index(name)}]")
        return self


class Promotion(Model):
    """What becomes of the old version once the new one serves."""

    decommission: Literal["ScaleToZero", "Delete", "Keep"] = "ScaleToZero"
    after: Duration = dt.timedelta(0)
    """How long the old version is kept before that."""


class Rollback(Model):
    """What becomes of a candidate that was rolled back."""

    scale_down: Literal["ScaleToZero", "Keep"] = "Keep"
    after: Duration = dt.timedelta(0)


class CanarySpec(Model):
    """One application, and how its new versions are released."""

    workload: Workload
    upstream: UpstreamRef
    destinations: Literal["Subsets"] = "Subsets"
    """One Upstream, with a subset per version."""
    routes: tuple[RouteRef, ...] = Field(min_length=1, max_length=16)
    testing: Testing | None = None
    """Phase 1; leave out to skip it."""
    shifting: Shifting | None = None
    """Phase 2; leave out to go to 100 right after testing."""
    baking: Baking = Baking()
    analysis: Analysis
    promotion: Promotion = Promotion()
    rollback: Rollback = Rollback()
    progress_deadline: Duration = dt.timedelta(minutes=10)
    """A candidate that is not ready within this time is rolled back."""
    paused: bool = False
    """Hold where it is. Going back is still possible, by itself or by command."""

    @model_validator(mode="after")
    def _distinct_routes(self) -> Self:
        for at, route in enumerate(self.routes):
            if route in self.routes[:at]:
                raise ValueError(f"routes[{at}]: {route.namespace}/{route.name} is named twice")
        return self

    def ladder(self) -> tuple[Step, ...]:
        """Give the steps of the shifting phase, or the one step to 100 where there is none."""
        if self.shifting is None:
            return (Step(weight=100, interval=dt.timedelta(0)),)
        return self.shifting.ladder()


class Metadata(BaseModel):
    """The part of Kubernetes' object metadata that matters here."""

    model_config = ConfigDict(frozen=True, extra="ignore", alias_generator=to_camel)

    name: Name
    namespace: Name = "default"
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: dt.datetime | None = None
    deletion_timestamp: dt.datetime | None = None
    annotations: dict[str, str] = {}


class Canary(Model):
    """A Canary as a manifest."""

    api_version: Literal["crossfade.dev/v1alpha1"]
    kind: Literal["Canary"]
    metadata: Metadata
    spec: CanarySpec
    status: object = None
    """Written by the controller."""
