"""What Gloo says of the routes, says late, or does not say: told apart, taken back, held in its own words."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from account import rises
from faults import OURS, faults
from lookout import at, held, order, resting
from releases import Application, Document, failures, wait_for
from sandbox.cluster import Cluster


SOAKING = {"steps": [20, 60], "interval": "10m"}
QUICK = {"steps": [20, 60], "interval": "1s"}
NOWHERE: Document = {
    "matchers": [{"prefix": "/broken"}],
    "routeAction": {"single": {"upstream": {"name": "nowhere", "namespace": "gloo-system"}}},
}
UNSELECTED: Document = {
    "matchers": [{"prefix": "/later"}],
    "delegateAction": {"selector": {"labels": {"team": "nobody"}, "namespaces": ["gloo-system"]}},
}


@contextlib.contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    """Let Gloo be gone for a while; Envoy goes on with what it has."""
    cluster.stop("gloo")
    try:
        yield
    finally:
        cluster.start("gloo")


@contextlib.contextmanager
def another_gloo(cluster: Cluster, folder: Path, *flags: str) -> Iterator[None]:
    """Let a Gloo with these flags do the work for a while."""
    with away(cluster):
        command = [*cluster._command("gloo")[:-1], str(folder / "ready"), *flags]
        with (folder / "gloo.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(lambda: f"ready {(folder / 'ready').exists()}", "ready True")
            yield
        finally:
            process.terminate()
            process.wait(20)


def add_route(app: Application, route: Document) -> None:
    app.patch_routes([{"op": "add", "path": "/spec/virtualHost/routes/-", "value": route}])


def remove_last_route(app: Application) -> None:
    last = len(app.virtual_service()["spec"]["virtualHost"]["routes"]) - 1
    app.patch_routes([{"op": "remove", "path": f"/spec/virtualHost/routes/{last}"}])


def test_a_warning_takes_the_weight_back_and_says_that_it_is_one(app: Application) -> None:
    app.adopted(shifting=SOAKING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        add_route(app, UNSELECTED)
        status = app.until(held("NotAccepted"))
        assert status["weight"] == 0
        assert "more was not accepted: Warning, no route table matches" in status["held"]["message"]
        remove_last_route(app)
        app.until(lambda _: set(app.versions(20)) == {"v1"})
        order(app, "resume")
        app.until(at(20))
    assert failures(users.snapshot()) == 0


def test_what_a_webhook_denies_is_taken_back_in_the_words_of_the_webhook(
    cluster: Cluster, app: Application
) -> None:
    words = 'admission webhook "gloo.gloo-system.svc" denied the request: resource incompatible with snapshot'
    denied = {
        "fault": "answer",
        "code": 400,
        "message": words,
        "verb": "patch",
        "resource": "virtualservices.gateway.solo.io",
        "name": app.name,
        "userAgent": OURS,
    }
    app.adopted(shifting={**QUICK, "interval": "3s"})
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        with faults(cluster.apiserver, denied):
            status = app.until(held("NotAccepted"))
        assert status["weight"] == 20
        assert words in status["held"]["message"]
        assert "Rejected" not in status["held"]["message"]
        assert status["held"]["needsHuman"]
        assert app.virtual_service()["spec"]["virtualHost"]["routes"][0]["routeAction"]["multi"]
        app.crossfade("resume")
        assert app.ended("v2")["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [20, 60, 60, 100]


def test_a_gloo_that_is_away_gets_the_weight_back_and_the_rollout_goes_on_when_it_returns(
    cluster: Cluster, app: Application
) -> None:
    app.adopted(shifting={"steps": [{"weight": 20, "approval": "Manual"}, 60], "interval": "1s"})
    with app.load() as users:
        app.deploy("v2")
        app.until(held("AwaitingApproval"))
        with away(cluster):
            app.crossfade("approve")
            waiting = app.until(held("NotAccepted"))
            assert waiting["weight"] == 60
            assert "waiting for Gloo to accept the routes (no answer yet)" in waiting["reason"]
            app.until(lambda status: status["weight"] == 20)
            assert "60% was not accepted: no answer for 1m; does Gloo run?" in app.reasons()
            users_now = app.versions(60)
            assert users_now["v2"] < users_now["v1"], "Envoy never heard of 60%"
            # nothing rises, however often it is ordered
            app.crossfade("promote", "--full")
            app.until(held("NotAccepted"))
            assert app.status()["weight"] == 20
        assert app.ended("v2")["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert "SteppedBack" in app.events()


def test_while_gloo_is_away_nothing_counts_as_rolled_back_or_gone(cluster: Cluster, app: Application) -> None:
    app.adopted(
        shifting={"steps": [50], "interval": "10m"}, rollback={"scaleDown": "ScaleToZero", "after": "0s"}
    )
    with app.load() as users:
        app.deploy("v2")
        app.until(at(50))
        with away(cluster):
            order(app, "abort")
            status = app.until(held("NotAccepted"))
            assert status["phase"] == "RollingBack"
            assert set(app.versions()) == {"v1", "v2"}, "Envoy still divides as it was last told"
            app.kubectl("delete", "canary", "echo", "-n", app.namespace, "--wait=false")
            app.until(held("NotAccepted"))
            assert app.deployment("v2")["spec"]["replicas"] == 1
        app.kubectl("wait", "--for=delete", "canary/echo", "-n", app.namespace, "--timeout=30s")
        assert set(app.versions()) == {"v1"}
    assert failures(users.snapshot()) == 0


def test_states_as_numbers_of_a_gloo_in_another_namespace_are_understood(
    cluster: Cluster, app: Application, tmp_path: Path
) -> None:
    app.adopted(shifting=SOAKING)
    assert list(app.virtual_service()["status"]["statuses"]) == ["gloo-system"]
    with another_gloo(cluster, tmp_path, "--namespace", "edge", "--numeric-states"):
        with app.load() as users:
            app.deploy("v2")
            app.until(at(20))
            statuses = app.virtual_service()["status"]["statuses"]
            assert {name: report["state"] for name, report in statuses.items()} == {"edge": 1}
            add_route(app, NOWHERE)
            status = app.until(held("NotAccepted"))
            report = app.virtual_service()["status"]["statuses"]["edge"]
            assert report["state"] == 2
            assert f"Rejected, {report['reason']}" in status["held"]["message"]
            assert status["weight"] == 0
            remove_last_route(app)
            order(app, "resume")
            app.until(at(20))
            order(app, "promote-full")
            app.until(resting("Promoted"))
            assert "nowhere" not in json.dumps(app.virtual_service()["spec"])
        assert failures(users.snapshot()) == 0
