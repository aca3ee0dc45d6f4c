"""Metrics that need no PromQL: what applications and Envoy usually export, and what a platform adds to that.

Counters are named raw, one series per pod, as everywhere; `or` joins what is the same by two names.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.expressions import OPEN_NAMES
from config.measures import MetricTemplateSpec
from config.model import Model
from config.names import ShortName
from config.problems import Fault, FaultsError, faults, found


Presets = Mapping[str, Mapping[str, Any]]
"""Metrics by name, each as it would be written out: a MetricTemplate's spec."""

_APPLICATION = 'namespace="{{ namespace }}", version="{{ version }}"'
_ENVOY = 'envoy_cluster_name=~"{{ cluster }}|kube-upstream_{{ cluster }}_.+"'
"""Gloo's two ways to name the cluster of an Upstream."""


def _answered(status: str) -> str:
    """Count requests by status, which applications call `code` or `status`; without either there is none."""
    return " or ".join(
        f"http_requests_total{{{_APPLICATION}, {label}{status}}}" for label in ("code", "status")
    )


def _in_seconds(buckets: str) -> str:
    """Rewrite the bounds, which Envoy gives in milliseconds, by moving the point three digits."""
    for bound, seconds in (
        (r"0\\.([0-9]+)", "0.000$1"),
        ("([0-9])", "0.00$1"),
        ("([0-9]{2})", "0.0$1"),
        ("([0-9]{3})", "0.$1"),
        ("([0-9]+)([0-9]{3})", "$1.$2"),
    ):
        buckets = f'label_replace({buckets}, "le", "{seconds}", "le", "{bound}")'
    return buckets


PRESETS: Presets = {
    "http-errors": {"ratio": {"bad": _answered('=~"5.."'), "total": _answered('!=""')}},
    "http-latency": {
        "histogram": {"buckets": f"http_request_duration_seconds_bucket{{{_APPLICATION}}}"},
    },
    "envoy-errors": {
        "ratio": {
            "bad": f'envoy_cluster_upstream_rq_xx{{{_ENVOY}, envoy_response_code_class="5"}}',
            "total": f"envoy_cluster_upstream_rq_xx{{{_ENVOY}}}",
        }
    },
    "envoy-latency": {
        "histogram": {"buckets": _in_seconds(f"envoy_cluster_upstream_rq_time_bucket{{{_ENVOY}}}")},
    },
}
"""What each of them stands for, as if it had been written out."""


class _Metric(Model):
    spec: MetricTemplateSpec


_NAME: TypeAdapter[str] = TypeAdapter(ShortName)


def faults_in(metric: object) -> tuple[Fault, ...]:
    """Say what is wrong with a metric that has no name yet; its expressions may have variables."""
    document = {"spec": metric}
    try:
        _Metric.model_validate(document, context={OPEN_NAMES: True})
    except ValidationError as error:
        return tuple(Fault(fault.at[1:], fault.message) for fault in faults(error, _Metric, document))
    return ()


def sound_presets(given: object) -> Presets:
    """Accept the presets of a platform: a mapping, or JSON of one.

    Raises:
        ValueError: it is no mapping.
        FaultsError: everything that is wrong inside of it; nothing is accepted then.

    """
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ValueError(f"found broken JSON; {_RIGHT}") from error
    if not isinstance(given, Mapping):
        raise ValueError(f"{found(given)}; {_RIGHT}")  # noqa: TRY004  # pydantic's
    wrong = tuple(fault for name, metric in given.items() for fault in _faults_of(str(name), metric))
    if wrong:
        raise FaultsError(wrong)
    return given


_RIGHT = "presets look like {shop-errors: {ratio: {bad: ..., total: ...}, max: 1%}}"


def _faults_of(name: str, metric: object) -> Iterator[Fault]:
    if name in PRESETS:
        yield Fault((name,), f"is built in and stays as it is; choose another name, such as our-{name}")
        return
    try:
        _NAME.validate_python(name)
    except ValidationError as error:
        yield Fault((name,), next(faults(error, _Metric, name)).message)
        return
    yield from (Fault((name, *fault.at), fault.message) for fault in faults_in(metric))


def presets_named_in(spec: Mapping[str, Any]) -> frozenset[str]:
    """Give the presets that the spec of a Canary names, as it is stored, valid or not."""
    analysis = spec.get("analysis")
    metrics = analysis.get("metrics") if isinstance(analysis, Mapping) else None
    listed = metrics if isinstance(metrics, list | tuple) else ()
    named = (each.get("preset") for each in listed if isinstance(each, Mapping))
    return frozenset(name for name in named if isinstance(name, str))
