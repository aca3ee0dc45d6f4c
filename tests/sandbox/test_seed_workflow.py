"""The workflow by hand, every file applied unmodified by real kubectl, every answer through real Envoy."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from sandbox.cluster import Cluster
from sandbox.load import Load, Traffic
from sandbox.process import wait_until


pytestmark = pytest.mark.e2e

SEED = Path(__file__).parents[1] / "fixtures" / "seed"
ROUTES = (
    "1-route",
    "2-route-pinned",
    "2-route-header",
    "3-route-100-0",
    "3-route-50-50",
    "3-route-0-100",
    "4-route-finished",
)
CANARY = {"stage": "canary"}
Kubectl = Callable[..., str]


class Echo:
    """The application of the seed on a sandbox of its own."""

    def __init__(self, cluster: Cluster, kubectl: Kubectl) -> None:
        self.cluster = cluster
        self.kubectl = kubectl

    def deploy(self, *versions: str) -> None:
        """Have exactly these versions running, and the Upstream as in the seed."""
        self.apply("1-echo-v1", "1-upstream")
        for version in ("v1", "v2"):
            if version in versions:
                self.apply(f"{'1' if version == 'v1' else '2'}-echo-{version}")
                self.kubectl("rollout", "status", "-n", "echo", f"deployment/echo-{version}", "--timeout=60s")
            else:
                self.kubectl("delete", "-n", "echo", "deployment", f"echo-{version}", "--ignore-not-found")
                self.kubectl("wait", "-n", "echo", "--for=delete", "pod", "-l", f"version={version}")

    def apply(self, *names: str) -> None:
        for name in names:
            self.kubectl("apply", "-f", str(SEED / f"{name}.yaml"))

    def ask(self, count: int = 1, headers: dict[str, str] | None = None) -> Counter[str]:
        """Return how often each answer came: `v1`, `v2`, or a code that is not 200."""
        with requests.Session() as session:
            answers = [session.get(self.cluster.gateway, headers=headers, timeout=10) for _ in range(count)]
        return Counter(
            answer.text.strip().removeprefix("version:") if answer.ok else str(answer.status_code)
            for answer in answers
        )

    def comes_to(self, wanted: set[str], headers: dict[str, str] | None = None) -> bool:
        """Say whether soon just these answers come, all of them."""
        return wait_until(lambda: set(self.ask(20, headers)) == wanted, 30)

    def verdict(self, resource: str = "virtualservice") -> dict[str, Any]:
        found = yaml.safe_load(self.kubectl("get", resource, "-n", "gloo-system", "echo", "-o", "yaml"))
        status: dict[str, Any] = found["status"].get("statuses", {}).get("gloo-system", {})
        return status


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory, connect: Callable[[Cluster], Kubectl]) -> Iterator[Echo]:
    with Cluster(tmp_path_factory.mktemp("seed")) as cluster:
        yield Echo(cluster, connect(cluster))


@pytest.mark.parametrize(
    ("route", "deployed", "everybody", "testers"),
    [
        pytest.param("1-route", ["v1"], {"v1"}, {"v1"}, id="before"),
        pytest.param("2-route-pinned", ["v1", "v2"], {"v1"}, {"v1"}, id="pinned"),
        pytest.param("2-route-header", ["v1", "v2"], {"v1"}, {"v2"}, id="testing"),
        pytest.param("3-route-100-0", ["v1", "v2"], {"v1"}, {"v2"}, id="shifting begins"),
        pytest.param("3-route-50-50", ["v1", "v2"], {"v1", "v2"}, {"v2"}, id="half shifted"),
        pytest.param("3-route-0-100", ["v1", "v2"], {"v2"}, {"v2"}, id="all shifted"),
        pytest.param("4-route-finished", ["v1", "v2"], {"v2"}, {"v2"}, id="finished"),
        pytest.param("4-route-finished", ["v2"], {"v2"}, {"v2"}, id="decommissioned"),
        pytest.param("1-route", ["v1", "v2"], {"v1", "v2"}, {"v1", "v2"}, id="unpinned goes to all pods"),
    ],
)
def test_each_stage_is_answered_by_the_right_version(
    echo: Echo, route: str, deployed: list[str], everybody: set[str], testers: set[str]
) -> None:
    echo.deploy(*deployed)
    echo.apply(route)
    assert echo.comes_to(everybody)
    assert echo.comes_to(testers, CANARY)
    assert set(echo.ask(100)) == everybody
    assert wait_until(lambda: echo.verdict().get("state") == "Accepted", 10)


def test_half_is_half_within_binomial_bounds(echo: Echo) -> None:
    echo.deploy("v1", "v2")
    echo.apply("3-route-50-50")
    assert echo.comes_to({"v1", "v2"})
    answers = echo.ask(1000)
    assert answers.total() == 1000
    assert abs(answers["v2"] - 500) < 80  # five standard deviations


def test_no_request_fails_while_routes_switch_and_pods_come_and_go(echo: Echo) -> None:
    echo.deploy("v1")
    echo.apply("2-route-pinned")
    assert echo.comes_to({"v1"})
    with Load(Traffic(echo.cluster.gateway, rps=60)) as load:
        echo.deploy("v1", "v2")
        for route in ROUTES[1:]:
            echo.apply(route)
            assert wait_until(lambda: echo.verdict().get("state") == "Accepted", 10)
        for replicas in ("3", "1"):
            echo.kubectl("scale", "-n", "echo", "deployment/echo-v2", f"--replicas={replicas}")
            echo.kubectl("rollout", "status", "-n", "echo", "deployment/echo-v2", "--timeout=60s")
        echo.kubectl("rollout", "restart", "-n", "echo", "deployment/echo-v2")
        echo.kubectl("rollout", "status", "-n", "echo", "deployment/echo-v2", "--timeout=60s")
        echo.deploy("v2")
    report = load.snapshot()
    assert report["failed"] == 0, report
    assert report["versions"].keys() == {"v1", "v2"}


def edited(name: str, edit: Callable[[dict[str, Any]], None]) -> str:
    """Return a file of the seed, changed."""
    document = yaml.safe_load((SEED / f"{name}.yaml").read_text())
    edit(document["spec"])
    return yaml.safe_dump(document)


def test_an_empty_subset_is_served_by_all_pods(echo: Echo) -> None:
    echo.deploy("v1")
    echo.apply("4-route-finished")
    assert echo.comes_to({"v1"})
    assert echo.verdict()["state"] == "Accepted"


def test_no_fallback_makes_an_empty_subset_unavailable(echo: Echo) -> None:
    echo.deploy("v1")
    strict = edited(
        "1-upstream", lambda spec: spec["kube"]["subsetSpec"].update(fallbackPolicy="NO_FALLBACK")
    )
    echo.kubectl("apply", "-f", "-", stdin=strict)
    echo.apply("4-route-finished")
    assert echo.comes_to({"503"})
    echo.kubectl("delete", "upstream", "-n", "gloo-system", "echo")


@pytest.mark.parametrize("keys", [["app"], ["app", "version"]], ids=str)
def test_a_key_set_that_is_not_declared_is_served_by_all_pods(echo: Echo, keys: list[str]) -> None:
    echo.deploy("v1", "v2")
    other = edited("1-upstream", lambda spec: spec["kube"]["subsetSpec"].update(selectors=[{"keys": keys}]))
    echo.kubectl("apply", "-f", "-", stdin=other)
    echo.apply("3-route-0-100")
    assert echo.comes_to({"v1", "v2"})


def test_zero_weight_is_rejected_and_the_last_good_routes_stay(echo: Echo) -> None:
    echo.deploy("v1", "v2")
    echo.apply("4-route-finished")
    assert echo.comes_to({"v2"})

    def nothing(spec: dict[str, Any]) -> None:
        for item in spec["virtualHost"]["routes"][1]["routeAction"]["multi"]["destinations"]:
            item["weight"] = 0

    echo.kubectl("apply", "-f", "-", stdin=edited("3-route-0-100", nothing))
    assert wait_until(lambda: echo.verdict().get("state") == "Rejected", 10)
    assert "greater than zero" in echo.verdict()["reason"]
    assert set(echo.ask(50)) == {"v2"}
    echo.apply("2-route-pinned")
    assert echo.comes_to({"v1"})
    assert wait_until(lambda: echo.verdict() == ACCEPTED, 10)


ACCEPTED = {
    "state": "Accepted",
    "reportedBy": "gloo",
    "subresourceStatuses": {
        "*v1.Proxy.gateway-proxy_gloo-system": {"state": "Accepted", "reportedBy": "gloo"}
    },
}


def test_a_dangling_upstream_is_rejected(echo: Echo) -> None:
    echo.deploy("v1")
    echo.apply("2-route-pinned")
    assert echo.comes_to({"v1"})

    def elsewhere(spec: dict[str, Any]) -> None:
        spec["virtualHost"]["routes"][0]["routeAction"]["single"]["upstream"]["name"] = "gone"

    echo.kubectl("apply", "-f", "-", stdin=edited("2-route-pinned", elsewhere))
    assert wait_until(lambda: echo.verdict().get("state") == "Rejected", 10)
    assert echo.verdict()["reason"] == "*v1.Upstream { gloo-system.gone } not found"
    assert set(echo.ask(20)) == {"v1"}


def test_a_status_moves_generation_and_is_written_once(echo: Echo) -> None:
    echo.deploy("v1")
    echo.kubectl("delete", "virtualservice", "-n", "gloo-system", "echo", "--ignore-not-found")
    echo.apply("1-route")
    assert wait_until(lambda: echo.verdict().get("state") == "Accepted", 10)
    fields = "jsonpath={.metadata.generation} {.metadata.resourceVersion}"
    read = ("get", "virtualservice", "-n", "gloo-system", "echo", "-o", fields)
    before = echo.kubectl(*read)
    assert before.split()[0] == "2"  # once applied, once by Gloo
    echo.kubectl("rollout", "restart", "-n", "echo", "deployment/echo-v1")
    echo.kubectl("rollout", "status", "-n", "echo", "deployment/echo-v1", "--timeout=60s")
    assert echo.kubectl(*read) == before
