"""What people order is done once, at once, and remembered; who asks how it goes is told by exit codes."""

import json
import os
import subprocess

from lookout import at, held, order, proven, shapes
from releases import CROSSFADE, Application, failures


TESTERS = {"stage": "canary"}
TESTING = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}]}
SOAKING = {"steps": [20, 60], "interval": "10m"}
QUICK = {"steps": [20], "interval": "1s"}
NEEDS_HUMAN = 4


def ordered(app: Application) -> bool:
    return "crossfade.dev/command" in app.kubectl("get", "canary", "echo", "-n", app.namespace, "-o", "json")


def test_aborted_version_goes_back_at_once_and_waits_for_retry(app: Application) -> None:
    app.adopted(shifting=SOAKING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        app.crossfade("abort", "--reason", "looks odd")
        entry = app.ended("v2")
        assert set(app.versions()) == {"v1"}
    assert failures(users.snapshot()) == 0
    assert entry["outcome"] == "RolledBack"
    assert entry["by"] != "crossfade"
    assert entry["reason"] == f"aborted by {entry['by']} (looks odd)"
    assert [reason for reason in app.events() if reason.startswith("Roll")] == ["RollingBack", "RolledBack"]

    app.canary(shifting={"steps": [50], "interval": "1s"})
    words = "it waits for a change or for retry"
    status = app.until(lambda status: status["observedGeneration"] == 2 and words in status["reason"])
    assert status["phase"] == "RolledBack"

    app.crossfade("retry")
    status = app.until(lambda status: status["phase"] not in {"RolledBack", "Preparing"})
    assert status["candidate"] == entry["revision"]
    order(app, "abort")
    app.until(lambda status: len(status["history"]) == 2)

    app.deploy("v2", "--latency=0.001")
    with app.load():
        entry = app.until(lambda status: status["phase"] == "Promoted")["history"][0]
    assert entry["revision"]["version"] == "v2"
    assert entry["revision"]["hash"] == app.status()["stable"]["hash"]


def test_nothing_rises_while_paused(app: Application) -> None:
    app.adopted(shifting=QUICK)
    app.deploy("v2")
    app.until(at(20))
    app.crossfade("pause", "--reason", "lunch")
    with app.load():
        status = app.until(proven(2))
        assert status["held"]["reason"] == "Paused"
        assert "(lunch)" in app.kubectl("get", "events", "-n", app.namespace)
        app.crossfade("status", "--watch", code=NEEDS_HUMAN)
        assert shapes(app)[-1] == "v1 80, v2 20"
        app.crossfade("resume")
        assert app.ended("v2")["outcome"] == "Promoted"


def test_harm_goes_back_while_paused(app: Application) -> None:
    app.adopted(shifting=QUICK)
    app.deploy("v2", "--error-rate=0.5")
    app.until(at(20))
    order(app, "pause")
    app.until(held("Paused"))
    with app.load() as users:
        entry = app.ended("v2")
    assert entry["reason"].startswith("harmful: errors:")
    assert entry["highestWeight"] == 20
    assert failures(users.snapshot(), "v1", "none") == 0
    assert set(app.versions()) == {"v1"}

    app.deploy("v3")
    app.until(held("Paused"))
    assert app.status()["phase"] == "RolledBack"
    order(app, "resume")
    app.until(at(20))


def test_promote_goes_one_step_without_waiting_and_full_goes_all_of_them(app: Application) -> None:
    app.adopted(shifting={"steps": [20, 40, 60], "interval": "10m"}, baking={"duration": "10m"})
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        app.crossfade("promote")
        app.until(at(40))
        app.crossfade("promote", "--full", "--reason", "hotfix")
        entry = app.ended("v2")
        assert set(app.versions()) == {"v2"}
    assert failures(users.snapshot()) == 0
    assert entry["outcome"] == "Promoted"
    assert shapes(app)[1:] == [
        "v1",
        "v1 100, v2 0",
        "v1 80, v2 20",
        "v1 60, v2 40",
        "v1 0, v2 100",
        "v2",
    ]
    assert "hurried" in entry["reason"]


def test_manual_approval_is_waited_for_and_a_repeated_order_is_none(app: Application) -> None:
    app.adopted(
        testing={**TESTING, "approval": "Manual"},
        shifting={"steps": [{"weight": 50, "approval": "Manual"}], "interval": "1s"},
    )
    with app.load():
        app.deploy("v2")
        status = app.until(held("AwaitingApproval"))
        assert (status["phase"], status["weight"]) == ("Testing", 0)
        assert set(app.versions(headers=TESTERS)) == {"v2"}
        assert "crossfade approve" in app.crossfade("status", code=NEEDS_HUMAN)
        app.crossfade("approve")

        status = app.until(lambda s: at(50)(s) and held("AwaitingApproval")(s))
        order(app, "approve", status["lastCommand"])
        app.until(lambda _: not ordered(app))
        status = app.status()
        assert status["held"]["reason"] == "AwaitingApproval"
        assert not status.get("approved")
        order(app, "approve")
        assert app.ended("v2")["outcome"] == "Promoted"
    order(app, "abort", "too late")
    status = app.until(lambda status: status["lastCommand"] == "too late")
    assert status["phase"] == "Promoted"
    assert len(status["history"]) == 1
    assert set(app.versions()) == {"v2"}


def test_release_paused_by_its_spec_waits_until_the_spec_changes(app: Application) -> None:
    app.adopted(shifting=QUICK, paused=True)
    app.deploy("v2")
    app.until(held("Paused"))
    order(app, "resume")
    status = app.until(lambda status: "lastCommand" in status)
    assert (status["phase"], status["held"]["reason"]) == ("Idle", "Paused")
    app.canary(shifting=QUICK)
    app.until(at(20))
    app.canary(shifting=QUICK, paused=True)
    app.until(held("Paused"))
    with app.load():
        status = app.until(proven(2))
    assert status["weight"] == 20


def test_status_tells_by_its_exit_code_how_it_went(app: Application) -> None:
    app.adopted(shifting=QUICK)
    app.deploy("v2")
    app.until(at(20))
    app.crossfade("status", "--watch", "--timeout", "100ms", code=3)
    said, code = watched(app)
    assert code == 0
    for words in ("Shifting 20% 1/2", "Shifting 100% 2/2", "Promoted: promoted v2"):
        assert words in said

    app.deploy("v3", "--error-rate=0.5")
    app.until(at(20))
    said, code = watched(app)
    assert code == 2
    assert "RolledBack: rolled back v3: harmful: errors:" in said.splitlines()[-1]
    document = json.loads(app.crossfade("status", "-o", "json", code=2))
    assert document["status"]["phase"] == "RolledBack"

    app.canary(shifting={"steps": [60, 20]})
    assert "spec.shifting.steps[1]" in app.crossfade("status", "--watch", code=5)


def watched(app: Application) -> tuple[str, int]:
    """Let users come once `status --watch` runs; give what it says until it ends, and its exit code."""
    command = [str(CROSSFADE), "status", "echo", "-n", app.namespace, "--watch"]
    environment = {**os.environ, "KUBECONFIG": str(app.cluster.kubeconfig)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        first = watch.stdout.readline()
        with app.load():
            return first + watch.stdout.read(), watch.wait()
