"""A/B testing: a chosen group alone sees the new version, and is all that it is judged by."""

from typing import Any

from lookout import held
from releases import Application, failures


GROUP = {"x-group": "beta"}
STUDY = {
    "match": [
        {
            "headers": [
                {"name": "x-group", "regex": "beta|early"},
                {"name": "x-bot", "present": True, "invert": True},
            ]
        },
        {"queryParameters": [{"name": "preview", "value": "yes"}], "methods": ["GET"]},
    ],
    "duration": "1s",
    "requests": 60,
}


def adopt(app: Application, **study: Any) -> None:
    """Adopt without steps: who passes the study serves everybody."""
    app.adopted(testing={**STUDY, **study}, shifting=None)


def test_the_group_alone_sees_the_version_until_it_serves_everybody(app: Application) -> None:
    adopt(app, approval="Manual")
    with app.load(60) as users, app.load(30, GROUP) as group:
        app.deploy("v2")
        status = app.until(lambda status: status["phase"] == "Testing" and "stepStartedAt" in status)
        assert set(app.versions(headers=GROUP)) == {"v2"}
        assert set(app.versions(headers={"x-group": "early"})) == {"v2"}
        assert set(app.versions(headers={**GROUP, "x-bot": "1"})) == {"v1"}
        assert set(app.versions(headers={"x-group": "later"})) == {"v1"}
        assert set(app.versions()) == {"v1"}
        app.until(held("AwaitingApproval"))
        app.crossfade("approve")
        entry = app.ended("v2")
        assert set(app.versions()) == {"v2"}
    assert status["weight"] == 0
    assert (entry["outcome"], entry["highestWeight"]) == ("Promoted", 100)
    assert entry["requests"] >= 60
    assert failures(users.snapshot()) == failures(group.snapshot()) == 0
    given = [event for event in app.events() if event in {"Testing", "Shifting", "Advanced", "Promoted"}]
    assert given == ["Testing", "Shifting", "Advanced", "Promoted"]


def test_a_version_that_fails_the_group_goes_back_and_nobody_else_has_seen_it(app: Application) -> None:
    adopt(app, duration="10m")
    with app.load(60) as users, app.load(30, GROUP):
        app.deploy("v2", "--error-rate=0.3")
        entry = app.ended("v2")
        assert set(app.versions(headers=GROUP)) == {"v1"}
    assert (entry["outcome"], entry["highestWeight"]) == ("RolledBack", 0)
    assert "harmful: errors:" in entry["reason"]
    assert set(users.snapshot()["versions"]) == {"v1"}
    assert failures(users.snapshot()) == 0


def test_a_group_that_sends_nothing_decides_nothing(app: Application) -> None:
    adopt(app, duration="1s")
    with app.load(60):
        app.deploy("v2")
        held = app.until(lambda status: (status.get("held") or {}).get("reason") == "TooFewRequests")
        assert (held["phase"], held["weight"]) == ("Testing", 0)
        assert "0 of 60 requests seen" in held["reason"]
        assert set(app.versions()) == {"v1"}
