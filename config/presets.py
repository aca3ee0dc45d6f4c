"""Metrics that need no PromQL: what applications and Envoy usually export.

Counters are named raw, one series per pod, as everywhere; `or` joins what is the same by two names.
"""

from collections.abc import Mapping
from typing import Literal


Preset = Literal["http-errors", "http-latency", "envoy-errors", "envoy-latency"]

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


PRESETS: Mapping[Preset, Mapping[str, Mapping[str, str]]] = {
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
