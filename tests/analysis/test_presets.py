"""The presets, as a real Prometheus understands them."""

import re
from typing import Any

import pytest
import requests

from config.placeholders import PLACEHOLDERS, resolve
from config.presets import PRESETS


pytestmark = pytest.mark.e2e

ENVOY = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 3600000)
"""Bounds as Envoy has them by itself, in milliseconds."""


def ask(prometheus: str, expression: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{prometheus}/api/v1/query", {"query": expression}, timeout=10).json()
    assert answer["status"] == "success", answer
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def expressions(preset: str) -> dict[str, str]:
    (parts,) = next(body for name, body in PRESETS.items() if name == preset).values()
    return dict(parts)


@pytest.mark.parametrize("preset", PRESETS)
def test_prometheus_understands_every_preset_whatever_is_filled_in(prometheus: str, preset: str) -> None:
    for expression in expressions(preset).values():
        assert ask(prometheus, resolve(expression, dict.fromkeys(PLACEHOLDERS, 'a"b\\.{}'))) == []


def test_all_requests_that_carry_a_code_are_counted_once(prometheus: str) -> None:
    asked = expressions("http-errors")["total"].replace('namespace="{{ namespace }}", ', "")
    asked = resolve(asked, {"version": "v1"}).replace("http_requests", "prometheus_http_requests")
    found = ask(prometheus, asked)
    assert found
    assert len(found) == len(ask(prometheus, 'prometheus_http_requests_total{version="v1"}'))


def test_what_carries_neither_code_nor_status_is_not_taken_for_requests_without_errors(
    prometheus: str,
) -> None:
    asked = expressions("http-errors")["total"].replace('namespace="{{ namespace }}", ', "")
    asked = resolve(asked, {"version": "v1"}).replace(
        "http_requests_total", "prometheus_http_response_size_bytes_count"
    )
    assert ask(prometheus, 'prometheus_http_response_size_bytes_count{version="v1"}')
    assert ask(prometheus, asked) == []


@pytest.mark.parametrize(
    ("cluster", "ours"),
    [
        pytest.param("echo-v2_gloo-system", True, id="as Gloo names it"),
        pytest.param("kube-upstream_echo-v2_gloo-system_echo_echo_80", True, id="since 1.19"),
        pytest.param("echo-v1_gloo-system", False, id="the other version"),
        pytest.param("kube-upstream_echo-v1_gloo-system_echo_echo_80", False, id="and since 1.19"),
        pytest.param("echo-v2_gloo-system2", False, id="a longer namespace"),
        pytest.param("an-echo-v2_gloo-system", False, id="a longer name"),
        pytest.param("kube-upstream_echo-v2_gloo-system2_echo_echo_80", False, id="both since 1.19"),
        pytest.param("echo-v2Xgloo-system", False, id="something else in between"),
    ],
)
@pytest.mark.parametrize("preset", ["envoy-errors", "envoy-latency"])
def test_envoys_clusters_are_told_apart(preset: str, cluster: str, *, ours: bool) -> None:
    for expression in expressions(preset).values():
        filled = resolve(expression, {"cluster": "echo-v2_gloo-system"})
        matched = re.search(r'envoy_cluster_name=~"([^"]*)"', filled)
        assert matched is not None
        assert (re.fullmatch(matched[1].replace("\\\\", "\\"), cluster) is not None) is ours


def test_the_bounds_of_envoy_become_seconds(prometheus: str) -> None:
    buckets = expressions("envoy-latency")["buckets"]
    begin = buckets.index("envoy_cluster_upstream_rq_time_bucket")
    selector, *_ = buckets[begin:].partition(', "le"')
    each = [f'label_replace(vector({bound}), "le", "{bound:.32g}", "", "")' for bound in ENVOY]
    each.append('label_replace(vector(-1), "le", "+Inf", "", "")')
    found = ask(prometheus, buckets.replace(selector, f"({' or '.join(each)})"))
    seconds = {float(series["metric"]["le"]): float(series["value"][1]) for series in found}
    assert seconds == {**{bound / 1000: bound for bound in ENVOY}, float("inf"): -1}
