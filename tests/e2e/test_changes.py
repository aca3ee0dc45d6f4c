"""What people and other programs change in mid-rollout: candidate, spec, routes, and the Canary itself."""

import copy
import json

import pytest

from lookout import Condition, at, held, order, proven, resting, shape, shapes
from releases import Application, Controller, Document, failures


SOAKING = {"steps": [20, 60], "interval": "10m"}
QUICK = {"steps": [20], "interval": "1s"}
TESTING = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}]}
TESTERS = {"stage": "canary"}
OWN_ROUTE: Document = {
    "name": "own",
    "matchers": [{"exact": "/own", "methods": ["GET"]}],
    "directResponseAction": {"status": 200, "body": "own"},
    "options": {"timeout": "7s", "future": {"of": ["Gloo", 1.5, True, {"~/": ""}]}},
}


def test_changed_candidate_starts_over_and_what_is_promoted_is_what_was_analysed(app: Application) -> None:
    app.adopted(shifting=SOAKING)
    with app.load() as users:
        app.deploy("v2")
        first = app.until(at(20))["candidate"]
        app.deploy("v2", "--latency=0.001")
        second = app.until(lambda status: status["candidate"] != first and at(20)(status))["candidate"]
        order(app, "promote-full")
        status = app.until(resting("Promoted"))
    assert status["stable"] == second
    outcomes = [(entry["revision"], entry["outcome"]) for entry in status["history"]]
    assert outcomes == [(second, "Promoted"), (first, "Superseded")]
    once = ["v1 100, v2 0", "v1 80, v2 20"]
    assert shapes(app)[2:] == [*once, "v1", *once, "v1 0, v2 100", "v2"]
    assert failures(users.snapshot(), "v1") == 0


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("scale", "--replicas=0"), id="scaled to 0"),
        pytest.param(("delete", "--wait=false"), id="deleted"),
    ],
)
def test_candidate_that_is_taken_away_is_cancelled(app: Application, command: tuple[str, str]) -> None:
    app.adopted(shifting=SOAKING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        app.kubectl(*command, "-n", app.namespace, "deployment", "echo-v2")
        entry = app.ended("v2")
        assert set(app.versions()) == {"v1"}
    assert entry["outcome"] == "Cancelled"
    assert "echo-v2 was" in entry["reason"]
    assert shape(app.virtual_service()) == "v1"
    assert failures(users.snapshot(), "v1") == 0


def test_stable_that_is_named_again_cancels(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    pinned = app.virtual_service()["spec"]
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        app.canary(shifting=SOAKING, testing=TESTING, workload={"version": "v1"})
        entry = app.ended("v2")
        assert set(app.versions(headers=TESTERS)) == {"v1"}
    assert (entry["outcome"], entry["reason"]) == ("Cancelled", "v1 is wanted again")
    assert app.virtual_service()["spec"] == pinned
    assert failures(users.snapshot()) == 0
    app.until(lambda status: "held" not in status and "v1 serves everybody" in status["reason"])


def test_newer_version_takes_over_after_a_rollback_of_the_candidate(app: Application) -> None:
    app.adopted(shifting=SOAKING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        app.deploy("v3")
        app.until(lambda status: status["candidate"]["version"] == "v3" and at(20)(status))
        order(app, "promote-full")
        app.until(resting("Promoted"))
    old = app.ended("v2")
    assert (old["outcome"], old["highestWeight"]) == ("Superseded", 20)
    assert app.ended("v3")["outcome"] == "Promoted"
    seen = shapes(app)
    assert seen[2:] == [
        "v1 100, v2 0",
        "v1 80, v2 20",
        "v1",
        "v1 100, v3 0",
        "v1 80, v3 20",
        "v1 0, v3 100",
        "v3",
    ]
    assert failures(users.snapshot()) == 0


def test_changed_steps_never_lead_beyond_the_next_one(app: Application) -> None:
    app.adopted(shifting=SOAKING)
    with app.load():
        app.deploy("v2")
        app.until(at(20))
        app.canary(shifting={"steps": [10, 30], "interval": "1s"})
        assert app.ended("v2")["outcome"] == "Promoted"
    assert shapes(app)[3:] == ["v1 80, v2 20", "v1 70, v2 30", "v1 0, v2 100", "v2"]


def test_with_a_spec_that_is_not_valid_nothing_rises_and_going_back_still_works(app: Application) -> None:
    app.adopted(shifting=QUICK)
    app.deploy("v2")
    app.until(at(20))
    with pytest.raises(AssertionError, match=r"spec\.analysis\.minRequests"):
        app.canary(analysis={"minRequests": 0})
    with pytest.raises(AssertionError, match=r'unknown field "spec\.shifting\.step"'):
        app.canary(shifting={"step": [20]})
    app.canary(shifting={"steps": [60, 20]})
    app.until(held("Stalled"))
    with app.load() as users:
        status = app.until(proven(2))
        stalled = next(each for each in status["conditions"] if each["type"] == "Stalled")
        assert stalled["status"] == "True"
        assert "spec.shifting.steps[1]: found 20 after 60" in stalled["message"]
        assert shape(app.virtual_service()) == "v1 80, v2 20"
        order(app, "abort")
        assert app.ended("v2")["outcome"] == "RolledBack"
        assert set(app.versions()) == {"v1"}
    assert failures(users.snapshot()) == 0


def test_weights_that_somebody_changes_are_put_back_a_few_times_and_then_left_to_a_human(
    app: Application,
) -> None:
    app.adopted(shifting=SOAKING)
    app.deploy("v2")
    app.until(at(20))
    for times in (1, 2, 3):
        meddle(app)
        app.until(put_back(times))
    meddle(app)
    status = app.until(held("Drift"))
    assert "v1 50, v2 50" in status["held"]["message"]
    assert "v1 80, v2 20" in status["held"]["message"]
    assert (status["weight"], status["weightSeen"]) == (20, 50)
    assert shape(app.virtual_service()) == "v1 50, v2 50"
    order(app, "resume")
    app.until(at(20))
    assert shape(app.virtual_service()) == "v1 80, v2 20"
    assert app.events().count("PutBack") == 4


def test_routes_that_are_replaced_or_deleted_are_divided_again(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        divided = app.virtual_service()["spec"]
        app.apply(app.virtual_service_manifest())
        app.until(put_back(1))
        assert app.virtual_service()["spec"] == divided
    assert failures(users.snapshot()) == 0

    app.kubectl("delete", "virtualservice", app.name, "-n", "gloo-system")
    status = app.until(held("Stalled"))
    assert f"VirtualService gloo-system/{app.name} not found" in status["held"]["message"]
    app.apply(app.virtual_service_manifest())
    status = app.until(lambda status: "held" not in status and at(20)(status))
    assert app.virtual_service()["spec"] == divided
    assert status["candidate"]["version"] == "v2"


def test_what_others_write_into_the_routes_stays_as_it_is(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    app.deploy("v2")
    app.until(at(20))
    routes = "/spec/virtualHost/routes"
    patch(
        app,
        {"op": "add", "path": f"{routes}/1/options", "value": {"timeout": "9s"}},
        {"op": "add", "path": f"{routes}/0", "value": OWN_ROUTE},
        {"op": "add", "path": "/spec/virtualHost/options", "value": {"stats": {"virtualClusters": []}}},
    )
    expected = copy.deepcopy(app.virtual_service()["spec"])
    order(app, "promote-full")
    app.until(resting("Promoted"))
    own, _, main = expected["virtualHost"]["routes"]
    destinations = main["routeAction"].pop("multi")["destinations"]
    main["routeAction"]["single"] = destinations[1]["destination"]
    expected["virtualHost"]["routes"] = [own, main]
    assert app.virtual_service()["spec"] == expected
    assert own == OWN_ROUTE
    assert main["options"] == {"timeout": "9s"}


@pytest.mark.parametrize(
    "down", [pytest.param(False, id="at once"), pytest.param(True, id="controller down")]
)
def test_deleted_canary_leaves_the_application_pinned_to_stable(
    app: Application, controller: Controller, *, down: bool
) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    pinned = app.virtual_service()["spec"]
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        if down:
            controller.kill()
        try:
            app.kubectl("delete", "canary", "echo", "-n", app.namespace, "--wait=false")
        finally:
            if down:
                assert app.kubectl("get", "canary", "echo", "-n", app.namespace, "-o", "name")
                controller.start()
        app.kubectl("wait", "--for=delete", "canary/echo", "-n", app.namespace, "--timeout=30s")
        assert app.virtual_service()["spec"] == pinned
        assert set(app.versions()) == set(app.versions(headers=TESTERS)) == {"v1"}
    assert failures(users.snapshot()) == 0
    assert app.deployment("v2")["spec"]["replicas"] == 1


def test_of_two_canaries_on_one_route_the_older_works_and_the_newer_waits_until_it_is_gone(
    app: Application,
) -> None:
    app.adopted(shifting=SOAKING)
    newer = app.canary_manifest(shifting={"steps": [50]})
    newer["metadata"]["name"] = "newer"
    app.apply(newer)
    wait = ("wait", "canary/newer", "-n", app.namespace, "--timeout=20s")
    app.kubectl(*wait, "--for=condition=Stalled")
    app.deploy("v2")
    app.until(at(20))
    order(app, "promote-full")
    app.until(resting("Promoted"))
    stalled = json.loads(app.kubectl("get", "canary", "newer", "-n", app.namespace, "-o", "json"))["status"]
    assert stalled["held"]["reason"] == "Stalled"
    assert f"belongs to the older Canary {app.namespace}/echo" in stalled["reason"]
    assert not any("50" in each for each in shapes(app))

    before = app.virtual_service()["spec"]
    app.kubectl("delete", "canary", "echo", "-n", app.namespace, "--timeout=10s")
    app.kubectl(*wait, "--for=jsonpath={.status.phase}=Idle")
    assert app.virtual_service()["spec"] == before
    assert set(app.versions()) == {"v2"}


def put_back(times: int) -> Condition:
    return lambda status: status.get("reasserted") == times and at(20)(status)


def meddle(app: Application) -> None:
    """Change the weights as somebody would who does not know of the Canary."""
    path = "/spec/virtualHost/routes/0/routeAction/multi/destinations"
    patch(app, *({"op": "replace", "path": f"{path}/{at}/weight", "value": 50} for at in (0, 1)))


def patch(app: Application, *operations: Document) -> None:
    app.kubectl(
        "patch", "virtualservice", app.name, "-n", "gloo-system", "--type=json", "-p", json.dumps(operations)
    )
