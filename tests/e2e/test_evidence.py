"""Verdicts on real traffic: through real Envoy, scraped by a real Prometheus."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from account import rises
from releases import CROSSFADE, Application, failures


SAME = "every verdict comes out the same, to the last digit"
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


def replayed(kept: Path, code: int) -> str:
    """Judge kept windows again, without a cluster; give what is said."""
    done = subprocess.run(
        [CROSSFADE, "explain", "--replay", kept],
        env={"COLUMNS": "500"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_five_percent_errors_at_five_percent_weight_go_back_and_can_be_explained(
    app: Application, tmp_path: Path
) -> None:
    app.adopted(
        "--error-rate=0.001",
        shifting={"steps": [5], **SLOW},
        analysis={"metrics": metrics(errors(app))},
    )
    with app.load(200) as users:
        app.deploy("v2", "--error-rate=0.05", "--seed=1")
        entry = app.ended("v2")
    assert entry["outcome"] == "RolledBack"
    assert entry["highestWeight"] == 5
    assert entry["reason"].startswith("harmful: errors:")
    assert "more than 1.5 times stable's, odds " in entry["reason"]
    assert failures(users.snapshot(), "v2") < 40

    explained = app.crossfade("explain")
    assert "v2 was rolled back at " in explained
    assert entry["reason"].removeprefix("harmful: ") in explained
    assert SAME in explained
    kept = tmp_path / "windows.json"
    app.crossfade("explain", "--save", str(kept))
    assert SAME in replayed(kept, code=0)
    falsified = json.loads(kept.read_text())
    falsified["windows"][-1]["readings"]["errors"]["candidate"]["bad"] += 1
    kept.write_text(json.dumps(falsified))
    assert SAME not in replayed(kept, code=1)


def test_equal_versions_whose_errors_come_in_bursts_are_promoted(app: Application) -> None:
    bursty = ("--error-rate=0.05", "--burst=10")
    app.install("v1", *bursty, "--seed=1")
    with app.load(200) as users:
        while users.snapshot()["requests"] < 3_000:  # stable has a past
            assert app.versions(10).keys() == {"v1"}
        app.canary(shifting={"steps": [20, 50], "interval": "3s"}, analysis={"metrics": metrics(errors(app))})
        app.until(lambda status: status.get("phase") == "Idle")
        app.deploy("v2", *bursty, "--seed=20")  # begins with a long one
        begun = app.until(lambda status: status["weight"] == 20)["metrics"][0]
        entry = app.ended("v2")
    assert begun["tests"]["comparisons"][0]["dispersion"]["windows"] >= 10
    assert begun["dispersion"] > 4
    assert entry["outcome"] == "Promoted"


def test_slow_answers_to_five_percent_of_the_requests_are_found_and_the_bucket_named(
    app: Application,
) -> None:
    quick = ("--latency=0.02",)
    app.adopted(*quick, shifting={"steps": [20], **SLOW}, analysis={"metrics": metrics(latency(app))})
    with app.load(100):
        app.deploy("v2", *quick, "--slow-share=0.05", "--slow-latency=0.4", "--seed=1")
        entry = app.ended("v2")
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


def test_a_dry_run_tells_what_it_would_have_done_and_does_nothing(app: Application) -> None:
    app.adopted(shifting={"steps": [50], "interval": "3s"}, analysis={"dryRun": True})
    with app.load(100) as users:
        app.deploy("v2", "--error-rate=0.5")
        entry = app.ended("v2")
    assert entry["outcome"] == "Promoted"
    assert re.match(r"would have rolled back at \d\d:\d\d UTC: errors: \d+% bad", entry["wouldHave"])
    assert entry["wouldHave"] in app.crossfade("history")
    assert failures(users.snapshot(), "v1", "none") == 0


def test_what_stable_does_not_export_is_said_before_anybody_is_exposed(app: Application) -> None:
    of_release = errors(app)
    of_release["ratio"] = {
        part: expression.replace("version=", "release=") for part, expression in of_release["ratio"].items()
    }
    app.adopted(analysis={"metrics": metrics(of_release)})
    with app.load():
        app.deploy("v2")
        held = app.until(lambda status: (status.get("held") or {}).get("reason") == "Blind")
    assert held["weight"] == 0
    assert "spec.analysis.metrics[0].ratio.total" in held["held"]["message"]
    assert "release" in held["held"]["message"]
    assert rises(app.writes()) == []


def test_a_metric_of_a_template_waits_for_it_and_then_finds_harm(app: Application) -> None:
    metric = {"templateRef": {"name": "failures"}, "templateVariables": {"code": "500"}, "tolerate": 2}
    app.install()
    app.canary(shifting={"steps": [20], **SLOW}, analysis={"metrics": [metric]})
    held = app.until(lambda status: "held" in status)["held"]
    assert held["reason"] == "Stalled"
    assert 'metrics[0].templateRef.name: no MetricTemplate "failures" in this namespace' in held["message"]
    app.apply(template(app))
    app.until(lambda status: status["phase"] == "Idle")
    with app.load(100):
        app.deploy("v2", "--error-rate=0.3")
        entry = app.ended("v2")
    assert entry["outcome"] == "RolledBack"
    assert entry["reason"].startswith("harmful: failures: ")
    assert "more than 2 times stable's" in entry["reason"]


def template(app: Application) -> dict[str, Any]:
    total = 'http_requests_total{namespace="{{ namespace }}", version="{{ version }}"}'
    ratio = {"bad": total.replace('}"}', '}", code="{{ code }}"}'), "total": total}
    return {
        "apiVersion": "crossfade.dev/v1alpha1",
        "kind": "MetricTemplate",
        "metadata": {"name": "failures", "namespace": app.namespace},
        "spec": {"ratio": ratio},
    }
