"""One Upstream per version: judged by what Envoy counts, switched to and back, and nobody notices."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from releases import Application, Document, failures, wait_for


ENVOY = {
    "metrics": [
        {"preset": "envoy-errors", "max": "2%"},
        {"preset": "envoy-latency", "max": {"quantile": 0.9, "seconds": 0.25}},
    ]
}
PINNED = {"Idle", "Promoted"}


class Silent(Application):
    """An application that exports nothing."""

    def apply(self, *documents: Document) -> None:
        for document in documents:
            if document["kind"] == "Deployment":
                template = document["spec"]["template"]["metadata"]
                template["annotations"] = {"prometheus.io/scrape": "false"}
        super().apply(*documents)

    def measured(self) -> str:
        """Give what is waited for, at once: there is nothing to measure."""
        return '"v1"'

    def clones(self) -> dict[str, str]:
        """Give the clones: name without the application's -> the version that it selects."""
        listed = self.kubectl(
            *("get", "upstream", "-n", "gloo-system", "-l", "app.kubernetes.io/managed-by=crossfade"),
            *("-o", "json"),
        )
        names = {each["metadata"]["name"]: each for each in json.loads(listed)["items"]}
        return {
            name.removeprefix(f"{self.namespace}-"): each["spec"]["kube"]["selector"]["version"]
            for name, each in names.items()
            if name.startswith(f"{self.namespace}-v")
        }

    def destination(self) -> Document:
        """Give where the one route leads."""
        single: Document = self.virtual_service()["spec"]["virtualHost"]["routes"][0]["routeAction"]["single"]
        return single

    def own(self, version: str) -> Document:
        return {"upstream": {"name": f"{self.namespace}-{version}", "namespace": "gloo-system"}}

    def subset(self, version: str) -> Document:
        upstream = {"name": self.namespace, "namespace": "gloo-system"}
        return {"upstream": upstream, "subset": {"values": {"version": version}}}

    def serve_at_an_address(self, version: str, *arguments: str) -> None:
        """Let a version run at an address of which only a static Upstream knows."""
        self.deploy(version, *arguments)
        where = ("-n", self.namespace)
        self.kubectl(
            "wait", *where, f"deployment/echo-{version}", "--for=condition=Available", "--timeout=30s"
        )
        pods = json.loads(self.kubectl("get", "pods", *where, "-l", f"version={version}", "-o", "json"))[
            "items"
        ]
        hosts = [{"addr": pod["status"]["podIP"], "port": 8080} for pod in pods]
        metadata = {"name": f"{self.namespace}-{version}", "namespace": "gloo-system"}
        self.apply(
            {
                "apiVersion": "gloo.solo.io/v1",
                "kind": "Upstream",
                "metadata": metadata,
                "spec": {"static": {"hosts": hosts}},
            }
        )

    def release(self, stable: str, candidate: str | None, **changes: Any) -> None:
        """Apply a Canary that names two Upstreams."""
        named = {"stable": self.own(stable)["upstream"]}
        if candidate:
            named["candidate"] = self.own(candidate)["upstream"]
        self.canary(workload=None, upstream=None, versions=named, analysis=ENVOY, **changes)


@pytest.fixture
def silent(app: Application) -> Iterator[Silent]:
    application = Silent(app.cluster, app.kubectl, app.namespace)
    yield application
    app.kubectl("delete", "canary", "-n", app.namespace, "--all")
    app.kubectl("delete", "virtualservice", "-n", "gloo-system", app.namespace)
    names = [f"{app.namespace}-{name}" for name in ("v1", "v2", "v3")]
    app.kubectl("delete", "upstream", "-n", "gloo-system", "--ignore-not-found", *names)


def adopt(app: Silent, **changes: Any) -> None:
    app.canary(destinations="Upstreams", analysis=ENVOY, **changes)
    app.until(lambda status: status.get("phase") == "Idle")


def test_a_healthy_version_of_an_application_that_exports_nothing_is_promoted(silent: Silent) -> None:
    silent.install()
    with silent.load(100) as users:
        adopt(silent)
        assert silent.destination() == silent.own("v1")
        assert silent.clones() == {"v1": "v1"}
        silent.deploy("v2")
        silent.until(lambda status: status["weight"] == 20)
        assert silent.clones() == {"v1": "v1", "v2": "v2"}
        assert silent.ended("v2")["outcome"] == "Promoted"
        silent.until(lambda status: not status.get("retiring") and silent.clones() == {"v2": "v2"})
        assert silent.destination() == silent.own("v2")
        assert set(silent.versions()) == {"v2"}
    assert failures(users.snapshot()) == 0


@pytest.mark.parametrize(
    ("arguments", "metric"),
    [
        pytest.param(["--error-rate=0.05", "--seed=7"], "envoy-errors", id="errors"),
        pytest.param(["--slow-share=0.3", "--slow-latency=0.6"], "envoy-latency", id="latency"),
    ],
)
def test_a_harmful_version_goes_back_by_what_envoy_counts(
    silent: Silent, arguments: list[str], metric: str
) -> None:
    silent.install()
    with silent.load(100) as users:
        adopt(silent, shifting={"interval": "20s"})
        silent.deploy("v2", *arguments)
        entry = silent.ended("v2")
        silent.until(lambda _: silent.clones() == {"v1": "v1"})
    assert entry["outcome"] == "RolledBack"
    assert f"harmful: {metric}:" in entry["reason"]
    assert failures(users.snapshot(), "v1", "none") == 0
    assert silent.destination() == silent.own("v1")


def test_an_adopted_application_is_switched_there_and_back_and_no_request_fails(silent: Silent) -> None:
    """Not even one that was on its way to a clone when that was deleted."""
    silent.install("v1", "--slow-share=0.1", "--slow-latency=3")
    silent.canary()
    silent.until(lambda status: status.get("phase") == "Idle")
    assert silent.destination() == silent.subset("v1")
    with silent.load(150) as users:
        silent.canary(destinations="Upstreams", analysis=ENVOY)
        silent.until(lambda status: silent.destination() == silent.own("v1") and status["phase"] in PINNED)
        silent.canary()
        silent.until(lambda _: silent.destination() == silent.subset("v1") and not silent.clones())
    report = users.snapshot()
    assert report["requests"] > 0
    assert failures(report) == 0


def test_in_mid_rollout_a_clone_that_is_edited_or_deleted_comes_back(silent: Silent) -> None:
    silent.install()
    adopt(silent, shifting={"interval": "1h"})
    with silent.load(50):
        silent.deploy("v2")
        silent.until(lambda status: status["weight"] == 20)
        where = ("-n", "gloo-system", f"{silent.namespace}-v2")
        operation = [{"op": "replace", "path": "/spec/kube/selector/version", "value": "v1"}]
        silent.kubectl("patch", "upstream", *where, "--type=json", "-p", json.dumps(operation))
        silent.until(lambda _: silent.clones() == {"v1": "v1", "v2": "v2"})
        silent.kubectl("delete", "upstream", "-n", "gloo-system", f"{silent.namespace}-v1")
        silent.until(lambda _: silent.clones() == {"v1": "v1", "v2": "v2"})
        silent.until(lambda _: set(silent.versions()) <= {"v1", "v2"})
        assert silent.status()["phase"] == "Shifting"


def test_a_deleted_canary_leaves_the_clone_that_serves_and_no_other(silent: Silent) -> None:
    silent.install()
    adopt(silent, shifting={"interval": "1h"})
    with silent.load(100) as users:
        silent.deploy("v2")
        silent.until(lambda status: status["weight"] == 20)
        silent.kubectl("delete", "canary", "-n", silent.namespace, "echo", "--timeout=30s")
        assert silent.clones() == {"v1": "v1"}
        assert silent.destination() == silent.own("v1")
        assert set(silent.versions()) == {"v1"}
    assert failures(users.snapshot()) == 0


def test_upstreams_without_deployments_are_released_one_after_the_other(silent: Silent) -> None:
    silent.serve_at_an_address("v1")
    manifest = silent.virtual_service_manifest()
    manifest["spec"]["virtualHost"]["routes"][0]["routeAction"]["single"] = silent.own("v1")
    silent.apply(manifest)
    wait_for(lambda: str(silent.versions(1)), "v1")
    with silent.load(100) as users:
        silent.release("v1", None)
        silent.until(lambda status: status.get("phase") == "Idle")
        silent.serve_at_an_address("v2")
        silent.release("v1", "v2")
        promoted = silent.ended(f"{silent.namespace}-v2")
        assert set(silent.versions()) == {"v2"}
        silent.serve_at_an_address("v3", "--error-rate=0.2", "--seed=7")
        silent.release("v2", "v3", shifting={"interval": "20s"})
        back = silent.ended(f"{silent.namespace}-v3")
        assert set(silent.versions()) == {"v2"}
    assert (promoted["outcome"], back["outcome"]) == ("Promoted", "RolledBack")
    assert "harmful: envoy-errors:" in back["reason"]
    assert failures(users.snapshot(), "v1", "v2", "none") == 0
    assert silent.destination() == silent.own("v2")
    assert silent.deployment("v1")["spec"]["replicas"] == 1
