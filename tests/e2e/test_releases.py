"""A good version gets through, a bad one goes back, and those who stay with stable notice nothing."""

import pytest

from releases import Application, failures


TESTING = {
    "match": [{"headers": [{"name": "stage", "value": "canary"}]}],
    "duration": "2s",
    "requests": 10,
}


def test_good_version_is_tested_shifted_promoted_and_the_old_one_scaled_down(app: Application) -> None:
    app.adopted(testing=TESTING, baking={"duration": "2s"})
    before = app.virtual_service()["spec"]
    with app.load() as users, app.load(20, {"stage": "canary"}) as testers:
        app.deploy("v2")
        app.until(lambda status: status["phase"] == "Testing" and "stepStartedAt" in status)
        assert set(app.versions()) == {"v1"}
        assert set(app.versions(headers={"stage": "canary"})) == {"v2"}
        entry = app.ended("v2")
        app.until(lambda status: not status.get("retiring"))
        assert set(app.versions(headers={"stage": "canary"})) == {"v2"}
    assert entry["outcome"] == "Promoted"
    assert entry["highestWeight"] == 100
    assert failures(users.snapshot()) == failures(testers.snapshot()) == 0
    assert app.deployment("v1")["spec"]["replicas"] == 0
    before["virtualHost"]["routes"][0]["routeAction"]["single"]["subset"]["values"]["version"] = "v2"
    assert app.virtual_service()["spec"] == before
    phases = ["Testing", "Shifting", "Advanced", "Advanced", "Advanced", "Baking", "Finishing", "Promoted"]
    assert [reason for reason in app.events() if reason in set(phases)] == phases


@pytest.mark.parametrize(
    ("arguments", "metric"),
    [
        pytest.param(["--error-rate=0.3"], "errors", id="errors"),
        pytest.param(["--slow-share=0.5", "--slow-latency=0.6"], "latency", id="latency"),
    ],
)
def test_harmful_version_goes_back(app: Application, arguments: list[str], metric: str) -> None:
    app.adopted()
    with app.load() as users:
        app.deploy("v2", *arguments)
        entry = app.ended("v2")
    assert entry["outcome"] == "RolledBack"
    assert f"harmful: {metric}:" in entry["reason"]
    assert failures(users.snapshot(), "v1", "none") == 0
    assert set(app.versions()) == {"v1"}
    assert app.deployment("v2")["spec"]["replicas"] == 1
    assert app.status()["phase"] == "RolledBack"


def test_version_that_crashes_while_it_carries_traffic_goes_back(app: Application) -> None:
    app.adopted(shifting={"interval": "30s"})
    with app.load() as users:
        app.deploy("v2", "--crash-after=6")
        app.until(lambda status: status["weight"] == 20)
        entry = app.ended("v2")
    assert entry["outcome"] == "RolledBack"
    assert "not ready while it carries traffic" in entry["reason"]
    assert failures(users.snapshot(), "v1") == 0
    assert set(app.versions()) == {"v1"}


def test_version_that_never_gets_ready_is_given_up(app: Application) -> None:
    app.adopted(progressDeadline="3s")
    app.deploy("v2", "--never-ready")
    entry = app.ended("v2")
    assert entry["outcome"] == "RolledBack"
    assert "not ready within 3s" in entry["reason"]
    assert entry["highestWeight"] == 0


def test_without_traffic_it_holds_and_says_so(app: Application) -> None:
    app.adopted(shifting={"timeout": "4s"})
    app.deploy("v2")
    status = app.until(lambda status: (status.get("held") or {}).get("needsHuman", False))
    assert status["held"]["reason"] == "TooFewRequests"
    assert status["weight"] == 20
    assert "errors: no requests yet" in status["reason"]
    assert "awaits" not in status["reason"]
    assert app.crossfade("status", code=4)
    with app.load():
        assert app.ended("v2")["outcome"] == "Promoted"
