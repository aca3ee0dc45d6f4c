"""The `Canary` resource as people write it.

One truth: the custom resource definition, the reference and the validation all
come from these models. Unknown fields are refused; every error names its path.
"""

import datetime as dt
import itertools
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictInt,
    Tag,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel

from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.model import Approval, Model, cel, rules
from config.names import Name, Token, Visible, name_with_version
from config.placeholders import WITH_UPSTREAMS, placeholders_in
from config.problems import FieldError
from config.quantities import Duration, Weight
from config.routes import RouteRef
from config.schedule import Schedule
from config.shadowing import NO_ADDRESS, NO_OPTIONS, Shadowing
from config.versions import NOT_BOTH, UpstreamRef, Versions, Workload, filled


GROUP = "crossfade.dev"
VERSION = "v1alpha1"
PLURAL = "canaries"
KIND = "Canary"


_NO_MATCHERS = (
    "an UpstreamGroup has no matchers to tell testers by; name a VirtualService or RouteTable "
    "whose routes lead to it in spec.routes too, or leave testing out"
)
_ROUTED = "self.routes.exists(route, route.kind != 'UpstreamGroup')"
_NO_ENVOY_METRIC = (
    "!self.analysis.metrics.exists(metric, has(metric.preset) && "
    "metric.preset in ['envoy-errors', 'envoy-latency'])"
)
_NO_STATISTICS = (
    "Envoy has no statistics per subset; say destinations: Upstreams, "
    "or use http-errors and http-latency, which ask the application"
)


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
    value: Annotated[str, Visible] | None = Field(default=None, min_length=1, max_length=1024)
    """The exact value."""
    regex: Annotated[str, Visible] | None = Field(default=None, min_length=1, max_length=1024)
    """An RE2 expression that the whole value matches."""
    present: Literal[True] | None = None
    """Any value will do."""
    invert: StrictBool = False
    """Of a header: it has another value than that; with `present`, it is not there at all."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(given is not None for given in (self.value, self.regex, self.present)) != 1:
            raise ValueError("say exactly one of value, regex and present: true")
        return self


_EMPTY = "an empty match would send everybody to the candidate; name a header, for example"
_NO_INVERT = "Gloo inverts headers alone; leave invert out, or match a header"


class TestingMatch(Model):
    """Requests that reach the candidate during canary testing; all conditions must hold."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.headers) || has(self.queryParameters) || has(self.methods)", _EMPTY),
            (
                "!has(self.queryParameters) || !self.queryParameters.exists(each, each.invert)",
                f"queryParameters: {_NO_INVERT}",
            ),
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
    def _meant(self) -> Self:
        if not (self.headers or self.query_parameters or self.methods):
            raise ValueError(_EMPTY)
        for at, parameter in enumerate(self.query_parameters):
            if parameter.invert:
                raise FieldError(f"found true; {_NO_INVERT}", "queryParameters", at, "invert")
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


_APART = "self.destinations == 'Upstreams' || has(self.versions)"
"""Every version has an Upstream of its own."""


def _schema_of_spec(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name not in {"workload", "upstream"}]
    schema |= rules(
        ("has(self.versions) != has(self.workload) && has(self.workload) == has(self.upstream)", NOT_BOTH),
        (f"{_APART} || {_NO_ENVOY_METRIC}", _NO_STATISTICS),
        (f"{_APART} || !has(self.shadowing)", NO_ADDRESS),
        (f"!has(self.testing) || {_ROUTED}", _NO_MATCHERS),
        (f"!has(self.shadowing) || {_ROUTED}", NO_OPTIONS),
    )


class CanarySpec(Model):
    """One application, and how its new versions are released."""

    model_config = ConfigDict(json_schema_extra=_schema_of_spec)

    versions: Versions | None = None
    workload: Workload
    upstream: UpstreamRef
    destinations: Literal["Subsets", "Upstreams"] = "Subsets"
    """One Upstream with a subset per version, or a copy of the Upstream for each version."""
    routes: tuple[RouteRef, ...] = Field(min_length=1, max_length=16)
    """Where the traffic is moved: all their routes that lead to the Upstream."""
    shadowing: Shadowing | None = None
    """Copies of live requests for the candidate, before anybody is sent there; leave out to skip it."""
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
    schedule: Schedule | None = None
    paused: StrictBool = False
    """Hold where it is. Going back is still possible, by itself or by command."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, given: object) -> object:
        return filled(given)

    @model_serializer(mode="wrap")
    def _as_written(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = dump(self)
        stand_ins = {"workload", "upstream"} if self.versions else set()
        return {name: value for name, value in fields.items() if name not in stand_ins}

    @model_validator(mode="after")
    def _distinct_routes(self) -> Self:
        seen: set[tuple[str, str, str]] = set()
        for at, route in enumerate(self.routes):
            if (address := (route.kind, route.namespace, route.name)) in seen:
                raise FieldError(f"{route.namespace}/{route.name} is named twice", "routes", at)
            seen.add(address)
        return self

    @model_validator(mode="after")
    def _testable(self) -> Self:
        if self.testing is not None and all(route.kind == "UpstreamGroup" for route in self.routes):
            raise FieldError(_NO_MATCHERS, "testing")
        return self

    @model_validator(mode="after")
    def _copies_have_an_address(self) -> Self:
        if self.shadowing is not None and not self.by_upstream:
            raise FieldError(NO_ADDRESS, "shadowing")
        if self.shadowing is not None and all(route.kind == "UpstreamGroup" for route in self.routes):
            raise FieldError(NO_OPTIONS, "shadowing")
        return self

    @model_validator(mode="after")
    def _separable(self) -> Self:
        """Refuse what Envoy counts where it counts all versions as one."""
        for at, metric in enumerate(() if self.by_upstream else self.analysis.metrics):
            text, instead = _expressions(metric)
            if not WITH_UPSTREAMS.isdisjoint(placeholders_in(text)):
                message = (
                    "Envoy has no statistics per subset, and would count both versions as one "
                    f"(destinations: Subsets); say destinations: Upstreams, or use {instead}"
                )
                raise FieldError(message, "analysis", "metrics", at, "preset")
        return self

    @property
    def by_upstream(self) -> bool:
        """Every version has an Upstream of its own."""
        return self.versions is not None or self.destinations == "Upstreams"

    def upstream_of(self, version: str) -> UpstreamRef:
        """Name the Upstream that the routes to a version lead to."""
        if self.versions is not None:
            return next((each for each in self.versions.all if each.name == version), self.upstream)
        if self.destinations == "Subsets":
            return self.upstream
        return self.upstream.model_copy(update={"name": name_with_version(self.upstream.name, version)})

    def cluster_of(self, version: str) -> str:
        """Give the name by which Envoy counts the requests to a version; empty if it counts all as one."""
        upstream = self.upstream_of(version)
        return f"{upstream.name}_{upstream.namespace}" if self.by_upstream else ""

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
