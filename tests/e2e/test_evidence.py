"""Verdicts on real traffic: through real Envoy, scraped by a real Prometheus."""

from typing import Any

from account import rises
from releases import Application, failures
from sandbox.cluster import Cluster


SLOW = {"interval": "10m"}
"""Only a verdict ends a step."""


def errors(app: Application, **fields: Any) -> dict[str, Any]:
    """Give a metric that knows no limit, only stable."""
    return {**app.canary_manifest()["spec"]["analysis"]["metrics"][0], "max": None, **fields}


def latency(app: Application) -> dict[str, Any]:
    """Give the whole histogram, without a limit."""
    return {**app.canary_manifest()["spec"]["analysis"]["metrics"][1], "max": None}


def metrics(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in metric.items() if value is not None} for metric in given]


def test_five_percent_errors_at_five_percent_weight_go_back(app: Application) -> None:
    app.adopted(
        "--error-rate=0.001",
        shifting={"steps": [5], **SLOW},
        analysis={"metrics": metrics(errors(app))},
    )
    with app.load(200) as users:
        app.deploy("v2", "--error-rate=0.05", "--seed=1")
        entry = app.ended("v2", 90)
    assert entry["outcome"] == "RolledBack"
    assert entry["highestWeight"] == 5
    assert entry["reason"].startswith("harmful: errors:")
    assert "more than 1.5 times stable's, odds " in entry["reason"]
    assert failures(users.snapshot(), "v2") < 40


def test_equal_versions_whose_errors_come_in_bursts_are_promoted(app: Application) -> None:
    bursty = ("--error-rate=0.02", "--burst=5")
    app.install("v1", *bursty)
    with app.load(150):
        app.canary(
            shifting={"steps": [10, 50], "interval": "4s"}, analysis={"metrics": metrics(errors(app))}
        )
        app.until(lambda status: status.get("phase") == "Idle")
        app.deploy("v2", *bursty)
        measured = app.until(lambda status: (status.get("metrics") or [{}])[0].get("dispersion", 0) > 1.5)
        entry = app.ended("v2", 90)
    assert entry["outcome"] == "Promoted"
    assert measured["candidate"]["version"] == "v2"


def test_slow_answers_to_five_percent_of_the_requests_are_found_and_the_bucket_named(
    app: Application,
) -> None:
    quick = ("--latency=0.02",)
    app.adopted(*quick, shifting={"steps": [20], **SLOW}, analysis={"metrics": metrics(latency(app))})
    with app.load(100):
        app.deploy("v2", *quick, "--slow-share=0.05", "--slow-latency=0.4", "--seed=1")
        entry = app.ended("v2", 90)
    assert entry["outcome"] == "RolledBack"
    assert "harmful: latency:" in entry["reason"]
    assert any(f"slower than {bound}s" in entry["reason"] for bound in ("0.05", "0.1", "0.25"))


def test_a_subset_without_endpoints_that_falls_back_to_all_is_no_split(app: Application) -> None:
    app.install()
    upstream = app.upstream()
    upstream["spec"]["kube"]["selector"]["tier"] = "web"  # v1's pods have it, v2's do not
    app.deploy("v1", labels={"tier": "web"})
    app.apply(upstream)
    app.canary(shifting={"steps": [20, 60], "interval": "2s"})
    app.until(lambda status: status.get("phase") == "Idle")
    with app.load(100) as users:
        app.deploy("v2")
        held = app.until(lambda status: (status.get("held") or {}).get("reason") == "SplitMismatch")
        assert held["weight"] == 20
        assert "asked for 20%, but the candidate answered 0%" in held["held"]["message"]
        assert held["held"]["needsHuman"] is True
        app.crossfade("abort")
        assert app.ended("v2")["outcome"] == "RolledBack"
    assert rises(app.writes()) == [20]
    assert failures(users.snapshot()) == 0


def test_blind_for_too_long_it_retreats_and_goes_on_when_it_can_see_again(
    cluster: Cluster, app: Application
) -> None:
    app.adopted(shifting={"steps": [10, 50], "interval": "2s"}, analysis={"blind": {"after": "3s"}})
    with app.load(100) as users:
        app.deploy("v2")
        app.until(lambda status: status["weight"] == 50)
        cluster.stop("prometheus")
        try:
            back = app.until(lambda status: status["weight"] == 10)
            assert back["held"]["reason"] == "Blind"
            assert "blind for 3s" in back["held"]["message"]
            assert back["phase"] == "Shifting"
        finally:
            cluster.start("prometheus")
        assert app.ended("v2", 90)["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [10, 50, 50, 100]
    assert "SteppedBack" in app.events()


def test_a_dry_run_tells_what_it_would_have_done_and_does_nothing(app: Application) -> None:
    app.adopted(shifting={"steps": [50], "interval": "3s"}, analysis={"dryRun": True})
    with app.load(100):
        app.deploy("v2", "--error-rate=0.5")
        entry = app.ended("v2", 90)
    assert entry["outcome"] == "Promoted"
    assert entry["wouldHave"].startswith("would have rolled back at ")
    assert "UTC: errors: " in entry["wouldHave"]


def test_what_stable_does_not_export_is_said_before_anybody_is_exposed(app: Application) -> None:
    of_release = errors(app)
    of_release["ratio"] = {
        part: expression.replace("version=", "release=") for part, expression in of_release["ratio"].items()
    }
    app.adopted(analysis={"metrics": metrics(of_release)})
    with app.load():
        app.deploy("v2")
        held = app.until(lambda status: (status.get("held") or {}).get("reason") == "Stalled")
    assert held["weight"] == 0
    assert "spec.analysis.metrics[0].ratio.total" in held["held"]["message"]
    assert "release" in held["held"]["message"]
    assert rises(app.writes()) == []
