"""Copies of live requests judge a version through real Envoy before anybody gets its answers."""

from collections.abc import Iterator
from typing import Any

import pytest

from releases import Application, Document, failures


OPTIONS = {"timeout": "10s", "retries": {"retryOn": "connect-failure", "numRetries": 2}}
TESTING = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}], "approval": "Manual"}


class Copied(Application):
    """An application whose route has options of its own, and whose new versions get copies first."""

    def adopt(self, **changes: Any) -> None:
        self.install()
        self.patch_routes([{"op": "add", "path": "/spec/virtualHost/routes/0/options", "value": OPTIONS}])
        self.release_by_copies(**changes)
        self.until(lambda status: status.get("phase") == "Idle")

    def release_by_copies(self, **changes: Any) -> None:
        envoy = {"preset": "envoy-errors", "max": "5%"}
        metrics = [*self.canary_manifest()["spec"]["analysis"]["metrics"], envoy]
        self.canary(
            **{
                "destinations": "Upstreams",
                "shadowing": {"percentage": 50, "duration": "2s"},
                "analysis": {"metrics": metrics},
                **changes,
            }
        )

    def options(self) -> list[Document | None]:
        routes = self.virtual_service()["spec"]["virtualHost"]["routes"]
        return [route.get("options") for route in routes]

    def copying(self) -> list[Document | None]:
        to = {"upstream": {"name": f"{self.namespace}-v2", "namespace": "gloo-system"}, "percentage": 50}
        return [{**OPTIONS, "shadowing": to}]


@pytest.fixture
def copied(app: Application) -> Iterator[Copied]:
    application = Copied(app.cluster, app.kubectl, app.namespace)
    yield application
    app.kubectl("delete", "canary", "-n", app.namespace, "--all")
    app.kubectl("delete", "virtualservice", "-n", "gloo-system", app.namespace)
    names = [f"{app.namespace}-{version}" for version in ("v1", "v2")]
    app.kubectl("delete", "upstream", "-n", "gloo-system", "--ignore-not-found", *names)


def requests_of(status: Document) -> dict[str, int]:
    return {metric["name"]: metric.get("requests", 0) for metric in status.get("metrics", [])}


def shadowing(status: Document) -> bool:
    return bool(status["phase"] == "Shadowing" and "stepStartedAt" in status)


def test_copies_are_judged_by_the_applications_metrics_and_by_envoys_before_anybody_is_sent_there(
    copied: Copied,
) -> None:
    copied.adopt(testing=TESTING, shadowing={"percentage": 50, "duration": "8s"})
    with copied.load(100) as users, copied.load(20, {"stage": "canary"}):
        copied.deploy("v2")
        copied.until(shadowing)
        assert copied.options() == copied.copying()
        assert set(copied.versions()) == set(copied.versions(headers={"stage": "canary"})) == {"v1"}
        seen = copied.until(lambda status: min(requests_of(status).values(), default=0) >= 20)
        assert (seen["phase"], seen["weight"], seen.get("requests", 0)) == ("Shadowing", 0, 0)
        copied.until(lambda status: (status.get("held") or {}).get("reason") == "AwaitingApproval")
        assert copied.options() == [OPTIONS, OPTIONS]
        assert set(copied.versions(headers={"stage": "canary"})) == {"v2"}
        copied.crossfade("approve")
        assert copied.ended("v2")["outcome"] == "Promoted"
        assert copied.options() == [OPTIONS]
    assert failures(users.snapshot()) == 0
    phases = ["Shadowing", "Testing", "Shifting", "Finishing", "Promoted"]
    assert [reason for reason in copied.events() if reason in set(phases)] == phases


def test_late_copies_are_no_mismatch_when_the_routes_are_divided(copied: Copied) -> None:
    copied.adopt()
    with copied.load(100) as users:
        copied.deploy("v2")
        assert copied.ended("v2")["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert "SplitMismatch" not in copied.events()


def test_a_version_that_fails_its_copies_goes_back_and_nobody_has_seen_it(copied: Copied) -> None:
    copied.adopt(shadowing={"percentage": 50, "duration": "10m"})
    with copied.load(100) as users:
        copied.deploy("v2", "--error-rate=0.3")
        entry = copied.ended("v2")
    assert (entry["outcome"], entry["highestWeight"], entry.get("requests", 0)) == ("RolledBack", 0, 0)
    assert "harmful: " in entry["reason"]
    assert copied.options() == [OPTIONS]
    assert set(users.snapshot()["versions"]) == {"v1"}
    assert failures(users.snapshot()) == 0


def test_a_shadowing_of_the_users_own_is_left_alone_and_told(copied: Copied) -> None:
    own = {"upstream": {"name": copied.namespace, "namespace": "gloo-system"}, "percentage": 1}
    copied.install()
    place = "/spec/virtualHost/routes/0/options"
    copied.patch_routes([{"op": "add", "path": place, "value": {"shadowing": own}}])
    copied.release_by_copies()
    held = copied.until(lambda status: (status.get("held") or {}).get("reason") == "Stalled")
    assert "route 0 has options.shadowing of its own" in held["reason"]
    assert copied.options() == [{"shadowing": own}]
    copied.patch_routes([{"op": "remove", "path": place}])
    copied.until(lambda status: status["phase"] == "Idle")


def test_a_canary_deleted_among_copies_leaves_none_behind(copied: Copied) -> None:
    copied.adopt(shadowing={"percentage": 50, "duration": "10m"})
    with copied.load(50) as users:
        copied.deploy("v2")
        copied.until(shadowing)
        copied.kubectl("delete", "canary", "echo", "-n", copied.namespace, "--timeout=30s")
        assert copied.options() == [OPTIONS]
        assert set(copied.versions()) == {"v1"}
    assert failures(users.snapshot()) == 0
