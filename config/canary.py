"""The `Canary` resource as people write it.

One truth: the custom resource definition, the reference and the validation all
come from these models. Unknown fields are refused; every error names its path.
"""

import datetime as dt
import itertools
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, StrictInt, Tag, model_validator
from pydantic.alias_generators import to_camel

from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.model import Approval, Model, cel
from config.names import Label, LabelKey, Name, Token
from config.placeholders import WITH_UPSTREAMS, placeholders_in
from config.problems import FieldError
from config.quantities import Duration, Weight


GROUP = "crossfade.dev"
VERSION = "v1alpha1"
PLURAL = "canaries"
KIND = "Canary"


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
    """Its name."""
    namespace: Name
    """Its namespace, often gloo-system."""


class RouteRef(Model):
    """An object whose routes lead to the Upstream."""

    kind: Literal["VirtualService"] = "VirtualService"
    """What it is."""
    name: Name
    """Its name."""
    namespace: Name
    """Its namespace."""


class ValueMatch(Model):
    """A header or query parameter: equal to `value`, matching `regex`, or just `present`."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            "[has(self.value), has(self.regex), has(self.present)].exists_one(given, given)",
            "say exactly one of value, regex and present: true",
        )
    )

    name: Token
    """Of the header or query parameter."""
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

    model_config = ConfigDict(
        json_schema_extra=cel(
            "has(self.headers) || has(self.queryParameters) || has(self.methods)",
            "an empty match would send everybody to the candidate; name a header, for example",
        )
    )

    headers: tuple[ValueMatch, ...] = Field(default=(), max_length=16)
    """All of these."""
    query_parameters: tuple[ValueMatch, ...] = Field(default=(), max_length=16)
    """All of these."""
    methods: tuple[Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], ...] = Field(
        default=(), max_length=7
    )
    """Any of these."""

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
    requests: StrictInt = Field(default=0, ge=0)
    """See at least this many requests answered by the candidate."""
    approval: Approval = "Automatic"
    """`Manual`: wait for `crossfade approve` before any user is moved."""


class Step(Model):
    """One weight on the way to 100, with exceptions from what holds for all steps."""

    weight: Weight
    """The candidate's share of the traffic, in percent."""
    interval: Duration | None = None
    """Least soak at this weight; default: `shifting.interval`."""
    approval: Approval = "Automatic"
    """`Manual`: wait for `crossfade approve` before leaving this step."""

    @model_validator(mode="before")
    @classmethod
    def _plain_weight(cls, given: object) -> object:
        return given if isinstance(given, dict | Step) else {"weight": given}


class Ramp(Model):
    """Steps by arithmetic: start, start + increment, ... up to max, then 100."""

    start: Weight = 5
    """The first weight."""
    increment: Weight
    """What is added at each step."""
    max: Weight = 100
    """No weight but the final 100 is larger."""

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if self.start > self.max:
            raise FieldError(f"found {self.start}, which is above max {self.max}", "start")
        return self


def _kind_of_steps(value: object) -> str:
    return "#ramp" if isinstance(value, dict | Ramp) else "#list"


Steps = Annotated[
    Annotated[tuple[Step, ...], Tag("#list"), Field(min_length=1, max_length=100)]
    | Annotated[Ramp, Tag("#ramp")],
    Discriminator(_kind_of_steps),
]


class Shifting(Model):
    """Phase 2: weighted destinations move everybody over, step by step."""

    steps: Steps = tuple(Step(weight=weight) for weight in (5, 10, 25, 50, 100))
    """Weights that rise, or `{start, increment, max}`; default: 5, 10, 25, 50, 100. 100 always ends them."""
    interval: Duration = dt.timedelta(minutes=1)
    """Least soak at each step, counted from the moment Gloo has accepted the weight."""
    timeout: Duration = dt.timedelta(minutes=30)
    """A step that has not passed by then is reported as held, for a human to look at."""

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if isinstance(self.steps, Ramp):
            return self
        for at, (lower, step) in enumerate(itertools.pairwise(self.steps), start=1):
            if step.weight <= lower.weight:
                message = f"found {step.weight} after {lower.weight}; weights must rise"
                raise FieldError(message, "steps", at)
        return self

    def ladder(self) -> tuple[Step, ...]:
        """Give the steps in rising order; the last one is always 100."""
        if isinstance(self.steps, Ramp):
            weights = range(self.steps.start, self.steps.max + 1, self.steps.increment)
            steps = tuple(Step(weight=weight) for weight in weights)
        else:
            steps = self.steps
        return steps if steps[-1].weight == 100 else (*steps, Step(weight=100))


class Baking(Model):
    """After 100%: stable kept warm, one move away."""

    duration: Duration = dt.timedelta(0)
    """Keep judging at 100% for this long before stable goes."""


class Promotion(Model):
    """What becomes of the old version once the new one serves."""

    decommission: Literal["ScaleToZero", "Delete", "Keep"] = "ScaleToZero"
    """Delete takes its Deployment away; Keep leaves it as it is."""
    after: Duration = dt.timedelta(0)
    """How long the old version is kept before that."""


class Rollback(Model):
    """What becomes of a candidate that was rolled back."""

    scale_down: Literal["ScaleToZero", "Keep"] = "Keep"
    """Keep leaves its pods running, to be looked into."""
    after: Duration = dt.timedelta(0)
    """How long it is kept before that."""


class CanarySpec(Model):
    """One application, and how its new versions are released."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            "!self.analysis.metrics.exists(metric, has(metric.preset) && metric.preset.startsWith('envoy-'))",
            "Envoy has no statistics per subset; use http-errors and http-latency, which ask the application",
        )
    )

    workload: Workload
    upstream: UpstreamRef
    destinations: Literal["Subsets"] = "Subsets"
    """One Upstream, with a subset per version."""
    routes: tuple[RouteRef, ...] = Field(min_length=1, max_length=16)
    """Where the traffic is moved: all their routes that lead to the Upstream."""
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
    paused: StrictBool = False
    """Hold where it is. Going back is still possible, by itself or by command."""

    @model_validator(mode="after")
    def _distinct_routes(self) -> Self:
        for at, route in enumerate(self.routes):
            if route in self.routes[:at]:
                raise FieldError(f"{route.namespace}/{route.name} is named twice", "routes", at)
        return self

    @model_validator(mode="after")
    def _separable(self) -> Self:
        """Refuse what Envoy counts, as long as one Upstream with subsets is the only way."""
        for at, metric in enumerate(self.analysis.metrics):
            text, instead = _expressions(metric)
            if not WITH_UPSTREAMS.isdisjoint(placeholders_in(text)):
                message = (
                    "Envoy has no statistics per subset, and would count both versions as one "
                    f"(destinations: Subsets); use {instead}"
                )
                raise FieldError(message, "analysis", "metrics", at, "preset")
        return self

    def ladder(self) -> tuple[Step, ...]:
        """Give the steps of the shifting phase, or the one step to 100 where there is none."""
        if self.shifting is None:
            return (Step(weight=100, interval=dt.timedelta(0)),)
        return self.shifting.ladder()


def _expressions(metric: Metric) -> tuple[str, str]:
    """Give all that a metric asks, and what could be asked instead of Envoy."""
    match metric:
        case RatioMetric(ratio=ratio):
            return f"{ratio.bad}\n{ratio.total}", "http-errors, which asks the application"
        case HistogramMetric(histogram=histogram):
            return histogram.buckets, "http-latency, which asks the application"
        case QueryMetric(query=query):
            return query, "metrics of the application"


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
