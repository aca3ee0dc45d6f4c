"""An application is taken over, and given back, while its users go on as before."""

import contextlib
from collections.abc import Iterator

import pytest

from account import moves
from lookout import Condition, at, held, order, resting, shape, shapes
from releases import Application, Controller, failures


SOAKING = {"steps": [20, 60], "interval": "10m"}
TESTING = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}]}
TESTERS = {"stage": "canary"}
CANARY = ("canary", "echo", "-o", "jsonpath={.metadata.finalizers}", "-n")


def available(app: Application, version: str) -> None:
    where = ("-n", app.namespace, f"deployment/echo-{version}")
    app.kubectl("wait", *where, "--for=condition=Available", "--timeout=30s")


def test_unpinned_route_is_pinned_to_the_only_version(app: Application) -> None:
    app.install()
    unpinned = app.virtual_service()["spec"]
    with app.load() as users:
        app.canary(shifting=SOAKING)
        app.until(resting("Idle"))
        app.deploy("v2")  # which nobody meets before it is its turn
        available(app, "v2")
        assert set(app.versions()) == {"v1"}
        app.until(at(20))
        order(app, "abort")
        app.until(resting("RolledBack"))
    assert failures(users.snapshot()) == 0
    assert shapes(app)[:2] == ["unpinned", "v1"]
    route = unpinned["virtualHost"]["routes"][0]
    route["routeAction"]["single"]["subset"] = {"values": {"version": "v1"}}
    assert app.virtual_service()["spec"] == unpinned


def test_pinned_route_is_left_as_it_is(app: Application) -> None:
    manifest = app.virtual_service_manifest()
    single = manifest["spec"]["virtualHost"]["routes"][0]["routeAction"]["single"]
    single["subset"] = {"values": {"version": "v1"}}
    app.install()
    app.apply(manifest)
    with app.load() as users:
        app.canary(shifting=SOAKING)
        app.until(resting("Idle"))
    assert failures(users.snapshot()) == 0
    assert not moves(app.writes())


def test_two_versions_behind_one_route_are_touched_only_once_somebody_says_which_one_serves(
    app: Application,
) -> None:
    app.install()
    app.deploy("v2")
    available(app, "v2")
    before = app.virtual_service()["spec"]
    with app.load() as users:
        app.canary(shifting=SOAKING)
        status = app.until(held("Stalled"))
        message = status["held"]["message"]
        assert "spec.workload.stable: the routes lead to all versions, running: v1, v2" in message
        assert "for example stable: v1" in message
        assert "candidate" not in status
        assert set(app.versions()) == {"v1", "v2"}
        assert app.virtual_service()["spec"] == before

        app.canary(shifting=SOAKING, workload={"stable": "v1"})
        app.until(at(20))
    assert failures(users.snapshot()) == 0
    assert shapes(app)[:4] == ["unpinned", "v1", "v1 100, v2 0", "v1 80, v2 20"]


def preparing(status: dict[str, object]) -> bool:
    return status.get("phase") == "Preparing" and "candidate" in status


PLACES: dict[str, tuple[Condition, dict[str, object]]] = {
    "Preparing": (preparing, {}),
    "Testing": (at(0, "Testing"), {"testing": {**TESTING, "approval": "Manual"}}),
    "Baking": (at(100, "Baking"), {"testing": TESTING, "baking": {"duration": "10m"}}),
}


@contextlib.contextmanager
def stopped(controller: Controller, *, down: bool) -> Iterator[None]:
    if not down:
        yield
        return
    controller.kill()
    try:
        yield
    finally:
        controller.start()


@pytest.mark.parametrize(
    ("phase", "down"),
    [
        pytest.param("Preparing", False, id="Preparing"),
        pytest.param("Testing", False, id="Testing"),
        pytest.param("Baking", False, id="Baking"),
        pytest.param("Testing", True, id="Testing, controller down"),
        pytest.param("Baking", True, id="Baking, controller down"),
    ],
)
def test_deleted_in_mid_rollout_it_leaves_everybody_on_stable(
    app: Application, controller: Controller, phase: str, *, down: bool
) -> None:
    reached, changes = PLACES[phase]
    app.adopted(shifting={"steps": [100], "interval": "1s"}, **changes)
    pinned = app.virtual_service()["spec"]
    canary = ("canary/echo", "-n", app.namespace)
    with app.load() as users:
        app.deploy("v2", *(["--never-ready"] if phase == "Preparing" else []))
        app.until(reached)
        with stopped(controller, down=down):
            app.kubectl("delete", *canary, "--wait=false")
            if down:
                assert app.kubectl("get", *canary, "-o", "name"), "the finalizer holds it"
        app.kubectl("wait", "--for=delete", *canary, "--timeout=30s")
        assert app.virtual_service()["spec"] == pinned
        assert set(app.versions()) == set(app.versions(headers=TESTERS)) == {"v1"}
    assert failures(users.snapshot()) == 0
    assert app.deployment("v2")["spec"]["replicas"] == 1


@pytest.mark.parametrize("outcome", ["Idle", "Promoted", "RolledBack"])
def test_deleted_at_rest_it_is_gone_at_once_and_the_routes_stay(
    app: Application, controller: Controller, outcome: str
) -> None:
    app.adopted(shifting=SOAKING)
    with app.load() as users:
        if outcome != "Idle":
            app.deploy("v2")
            app.until(at(20))
            order(app, "promote-full" if outcome == "Promoted" else "abort")
            app.until(lambda status: status["phase"] == outcome and not status.get("retiring"))
            app.until(lambda _: "crossfade.dev/routes" not in app.kubectl("get", *CANARY, app.namespace))
        before = app.virtual_service()["spec"]
        with stopped(controller, down=True):
            app.kubectl("delete", "canary", "echo", "-n", app.namespace, "--timeout=5s")
            assert app.virtual_service()["spec"] == before
    assert failures(users.snapshot()) == 0
    assert shape(app.virtual_service()) == ("v2" if outcome == "Promoted" else "v1")
