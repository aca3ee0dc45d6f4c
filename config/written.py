"""The forms in which metrics may be written, and what each of them stands for.

Presets, templates and variables are gone once a Canary is loaded: what is judged,
and what is remembered of a rollout, are metrics written out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictBool,
    Tag,
    TypeAdapter,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
)

from config.measures import (
    EXACTLY_ONE,
    FailureLimit,
    HistogramMetric,
    Metric,
    QueryMetric,
    RatioMetric,
    Tolerance,
    kind_of_metric,
)
from config.model import Model, Number
from config.names import Label, ShortName, Variable
from config.placeholders import PLACEHOLDERS, placeholders_in, resolve
from config.presets import PRESETS, Presets, faults_in
from config.problems import FieldError, found, near, path_of


TEMPLATES = "templates"
"""In the context of a validation: the specs of the namespace's MetricTemplates by name."""
OWN_PRESETS = "presets"
"""In the context of a validation: the platform's presets; None: they are not known here."""
UNKNOWN_PRESET = 'no preset "'
"""How the complaint about a preset begins that the controller may know."""

_EXPRESSIONS = ("ratio", "histogram", "query")
_Body = dict[str, Any]


def _free(name: str) -> str:
    if name in PLACEHOLDERS:
        raise ValueError(f"found {name!r}, which has a meaning already")
    return name


def _plain(value: str) -> str:
    if "{{" in value or "}}" in value:
        raise ValueError(f"{found(value)}; a variable cannot hold placeholders")
    return value


class _WithVariables(Model):
    template_variables: dict[
        Annotated[Variable, AfterValidator(_free)],
        Annotated[str, Field(max_length=1024), AfterValidator(_plain)],
    ] = Field(default={}, max_length=32)
    """What `{{ key }}` stands for in the expressions; escaped like every other value."""


class WrittenRatio(_WithVariables, RatioMetric):
    """Bad requests among all requests."""


class WrittenHistogram(_WithVariables, HistogramMetric):
    """Slow requests among all requests: the whole distribution is compared with stable's."""


class WrittenQuery(_WithVariables, QueryMetric):
    """Any PromQL expression that gives one number."""


class TemplateRef(Model):
    """A MetricTemplate of the Canary's namespace."""

    name: ShortName
    """Its name."""


class _Referring(_WithVariables):
    name: Label | None = None
    """How the metric is called in status and messages; default: as the preset or template."""
    max: Any = None
    """Instead of the preset's or template's: a share, `{quantile, seconds}` for latency, or a number."""
    min: Number | None = None
    """Instead of the preset's or template's."""
    tolerate: Tolerance | None = None
    """Instead of the preset's or template's."""
    failure_limit: FailureLimit | None = None
    """Instead of the preset's or template's."""
    dry_run: StrictBool | None = None
    """Instead of the preset's or template's."""


class PresetMetric(_Referring):
    """A metric that is built in or that the platform defines; what is said here wins over what it says."""

    preset: ShortName
    """http-errors, http-latency, envoy-errors, envoy-latency, or one of the controller's settings."""


class TemplatedMetric(_Referring):
    """A MetricTemplate; what is said here wins over what the template says."""

    template_ref: TemplateRef
    """Which one."""


WrittenMetric = Annotated[
    Annotated[PresetMetric, Tag("#preset")]
    | Annotated[TemplatedMetric, Tag("#templateRef")]
    | Annotated[WrittenRatio, Tag("#ratio")]
    | Annotated[WrittenHistogram, Tag("#histogram")]
    | Annotated[WrittenQuery, Tag("#query")],
    Discriminator(kind_of_metric, custom_error_type="metric_kind", custom_error_message=EXACTLY_ONE),
]


_WRITTEN: TypeAdapter[Any] = TypeAdapter(WrittenMetric)


def as_judged(given: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Metric:  # noqa: ANN401  # JSON
    """Write a metric out, whatever form it has, and validate what comes of it."""
    if isinstance(given, dict):
        match kind_of_metric(given):
            case "#preset":
                given = _of_preset(given, (info.context or {}).get(OWN_PRESETS))
            case "#templateRef":
                given = _of_template(given, (info.context or {}).get(TEMPLATES, {}))
            case _ if "templateVariables" in given:
                given = _with_variables(given)
            case _:
                pass
    metric: Metric = handler(given)
    return metric


def _of_preset(given: _Body, own: Presets | None) -> _Body:
    reference: PresetMetric = _WRITTEN.validate_python(given)
    name, known = reference.preset, {**(own or {}), **PRESETS}
    if name not in known:
        there = "there" if own is not None else "built in"
        told = f"{', '.join(sorted(known))}{near(name, tuple(known))}{_ELSEWHERE if own is None else ''}"
        raise FieldError(f'{UNKNOWN_PRESET}{name}"; {there} are: {told}', "preset")
    return _referred(given, reference, _Referred(f'preset "{name}"', name, known[name], ("preset",)))


_ELSEWHERE = "; to know the platform's too, name the controller's settings file in CROSSFADE_CONFIG"


def _of_template(given: _Body, templates: Mapping[str, object]) -> _Body:
    reference: TemplatedMetric = _WRITTEN.validate_python(given)
    name = reference.template_ref.name
    if name not in templates:
        there = f"there are: {', '.join(sorted(templates))}" if templates else "there is none"
        raise FieldError(f'no MetricTemplate "{name}" in this namespace; {there}', "templateRef", "name")
    return _referred(
        given,
        reference,
        _Referred(f'MetricTemplate "{name}"', name, templates[name], ("templateRef", "name")),
    )


@dataclass(frozen=True, slots=True)
class _Referred:
    """What a metric refers to, and by which field."""

    called: str
    name: str
    body: object
    at: tuple[str, ...]


def _referred(given: _Body, reference: PresetMetric | TemplatedMetric, to: _Referred) -> _Body:
    """Take what is referred to; what is said beside the reference wins, and variables are filled in."""
    if wrong := faults_in(to.body):
        said = "; ".join(f"{path_of(('spec', *fault.at))}: {fault.message}" for fault in wrong)
        raise FieldError(f"{to.called} is broken: {said}", *to.at)
    body: _Body = dict(to.body) if isinstance(to.body, Mapping) else {}
    wanted = _open_in(body) - reference.template_variables.keys()
    if wanted:
        named = ", ".join(sorted(wanted))
        raise FieldError(f"{to.called} needs templateVariables: {named}", *to.at)
    apart = {to.at[0], "templateVariables"}
    said_too = {key: value for key, value in given.items() if key not in apart and value is not None}
    return _filled({"name": to.name, **body, **said_too}, reference.template_variables)


def _with_variables(given: _Body) -> _Body:
    body = {key: value for key, value in given.items() if key != "templateVariables"}
    known = _WithVariables.model_validate({"templateVariables": given["templateVariables"]})
    return _filled(body, known.template_variables)


def _filled(body: _Body, variables: Mapping[str, str]) -> _Body:
    """Put the variables into the expressions; in a regular expression they are part of it."""
    unused = variables.keys() - _open_in(body)
    if unused:
        name = min(unused)
        raise FieldError(f"no expression has {{{{ {name} }}}}", "templateVariables", name)
    filled = _changed(body, lambda text: resolve(text, variables, patterns=True))
    left = variables.keys() & _open_in(filled)
    if left:
        name = min(left)
        message = f"{found(variables[name])}; outside of quotes a value is one word"
        raise FieldError(message, "templateVariables", name)
    return filled


def _open_in(body: _Body) -> set[str]:
    names: set[str] = set()

    def note(text: str) -> str:
        names.update(placeholders_in(text))
        return text

    _changed(body, note)
    return names - PLACEHOLDERS


def _changed(body: _Body, change: Callable[[str], str]) -> _Body:
    """Rewrite all expressions of a metric."""

    def deep(value: object) -> object:
        match value:
            case str():
                return change(value)
            case dict():
                return {key: deep(inner) for key, inner in value.items()}
            case _:
                return value

    return {key: deep(value) if key in _EXPRESSIONS else value for key, value in body.items()}
