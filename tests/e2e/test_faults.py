"""What breaks around a rollout holds it up, and never hurts anybody: it goes on when the world is back."""

import contextlib
import json
from collections.abc import Iterator

from account import moves, rises
from faults import OURS, faults, forbidden
from releases import Application, failures
from sandbox.cluster import Cluster


QUICK = {"steps": [50], "interval": "1s"}
BROKEN_ROUTE = {
    "matchers": [{"prefix": "/broken"}],
    "routeAction": {"single": {"upstream": {"name": "nowhere", "namespace": "gloo-system"}}},
}


@contextlib.contextmanager
def without(cluster: Cluster, part: str) -> Iterator[None]:
    """Stop a part of the sandbox for a while."""
    cluster.stop(part)
    try:
        yield
    finally:
        cluster.start(part)


def test_without_prometheus_nothing_moves_until_it_is_back(
    cluster: Cluster, app: Application, neighbour: Application
) -> None:
    app.adopted(shifting=QUICK)
    neighbour.adopted()
    at_rest = neighbour.status()
    with app.load() as users:
        app.deploy("v2")
        app.until(lambda status: status["weight"] == 50)
        with without(cluster, "prometheus"):
            blind = app.until(lambda status: (status.get("held") or {}).get("reason") == "Blind")
            words = f"Prometheus did not answer: {cluster.prometheus} cannot be reached"
            assert words in blind["held"]["message"]
            assert blind["verdict"] == "Blind"
            later = app.until(lambda status: status["evaluatedAt"] > blind["nextEvaluationAt"])
            assert (later["phase"], later["weight"]) == ("Shifting", 50)
            assert words in app.crossfade("status", code=3)
            assert set(app.versions()) == {"v1", "v2"}
        entry = app.ended("v2")
    assert entry["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert "Blind" in app.events()
    assert rises(app.writes()) == [50, 100]
    assert neighbour.status() == at_rest


def test_rollout_survives_an_api_server_that_is_away(cluster: Cluster, app: Application) -> None:
    app.adopted(shifting=QUICK)
    with app.load() as users:
        app.deploy("v2")
        app.until(lambda status: status["weight"] == 50)
        sent = users.snapshot()["requests"]
        with without(cluster, "apiserver"):
            while users.snapshot()["requests"] < sent + 240:  # four seconds of users
                assert app.versions(10).keys() <= {"v1", "v2"}
        assert app.ended("v2")["outcome"] == "Promoted"
        assert set(app.versions()) == {"v2"}
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [50, 100]
    assert moves(app.writes())[-1] == "v2"


def test_rollout_survives_a_stormy_api_server(cluster: Cluster, app: Application) -> None:
    asked = 10_000
    storm = [
        {"fault": "answer", "code": 500, "chance": 0.15, "seed": 1},
        {"fault": "answer", "code": 409, "verb": "write", "chance": 0.15, "seed": 2},
        {"fault": "lose", "verb": "write", "chance": 0.15, "seed": 3},
        {"fault": "reset", "chance": 0.1, "seed": 4},
        {"fault": "drop", "seconds": 0.7, "chance": 0.7, "seed": 5},
        {"fault": "expire", "chance": 0.4, "seed": 6},
    ]
    app.adopted()
    with app.load() as users:
        with faults(
            cluster.apiserver, *({**fault, "userAgent": OURS, "times": asked} for fault in storm)
        ) as left:
            app.deploy("v2")
            assert app.ended("v2")["outcome"] == "Promoted"
            assert all(fault["times"] < asked for fault in left())
        assert set(app.versions()) == {"v2"}
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [20, 60, 100]
    assert moves(app.writes())[-1] == "v2"


def test_step_that_gloo_rejects_is_taken_back_until_a_human_resumes(app: Application) -> None:
    app.adopted(shifting={**QUICK, "interval": "3s"})
    with app.load() as users:
        app.deploy("v2")
        app.until(lambda status: status["weight"] == 50)
        add = [{"op": "add", "path": "/spec/virtualHost/routes/-", "value": BROKEN_ROUTE}]
        app.patch_routes(add)
        held = app.until(lambda status: (status.get("held") or {}).get("reason") == "NotAccepted")
        [report] = app.virtual_service()["status"]["statuses"].values()
        assert report["state"] == "Rejected"
        assert held["weight"] == 0
        assert report["reason"] in held["held"]["message"]
        assert report["reason"] in app.crossfade("status", code=4)
        app.patch_routes([{"op": "remove", "path": "/spec/virtualHost/routes/1"}])
        app.until(lambda status: set(app.versions(20)) == {"v1"})
        assert app.status()["weight"] == 0
        app.crossfade("resume")
        assert app.ended("v2")["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [50, 50, 100]
    assert "nowhere" not in json.dumps(app.virtual_service()["spec"])


def test_controller_that_loses_its_rights_stands_still_until_it_has_them_again(
    cluster: Cluster, app: Application
) -> None:
    app.adopted(shifting=QUICK)
    may_not = 'cannot patch resource "virtualservices"'
    with app.load() as users:
        with faults(cluster.apiserver, forbidden("patch", "virtualservices.gateway.solo.io", app.name)):
            app.deploy("v2")
            held = app.until(lambda status: may_not in (status.get("held") or {}).get("message", ""))
            assert held["held"]["reason"] == "Stalled"
            assert may_not in app.crossfade("status", code=4)
            assert set(app.versions()) == {"v1"}
        assert app.ended("v2")["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [50, 100]
