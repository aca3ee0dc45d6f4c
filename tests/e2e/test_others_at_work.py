"""Other teams work on the same VirtualService while a rollout is under way, and users are there."""

import copy
import json

from lookout import at, order, resting, shape
from releases import Application, Document, failures


SOAKING = {"steps": [20, 60], "interval": "10m"}
TESTING = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}]}


def answer(name: str, path: str) -> Document:
    """Give a route of somebody else's."""
    return {
        "name": name,
        "matchers": [{"exact": path}],
        "directResponseAction": {"status": 200, "body": name},
        "options": {"timeout": "7s", "future": {"of": ["Gloo", 1.5, True, {"~/": ""}]}},
    }


def routes_of(app: Application) -> list[Document]:
    routes: list[Document] = app.virtual_service()["spec"]["virtualHost"]["routes"]
    return routes


def rewrite(app: Application, routes: list[Document]) -> None:
    """Write the whole list, as `kubectl edit` does."""
    app.patch_routes([{"op": "replace", "path": "/spec/virtualHost/routes", "value": routes}])


def test_routes_of_others_come_move_and_go_and_the_rollout_does_not_care(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        testing, main = routes_of(app)
        first, second = answer("first", "/first"), answer("second", "/second")
        rewrite(app, [first, testing, main])
        rewrite(app, [first, second, testing, main])
        order(app, "promote")
        app.until(at(60))
        *others, testing, main = routes_of(app)
        assert others == [first, second]
        rewrite(app, [second, testing, first, main])
        order(app, "promote")
        app.until(at(100))
        rewrite(app, [route for route in routes_of(app) if route.get("name") != "second"])
        order(app, "promote")
        status = app.until(resting("Promoted"))
    assert failures(users.snapshot()) == 0
    assert not status.get("reasserted"), "nothing had to be put back"
    left, main = routes_of(app)
    assert left == first
    assert shape(app.virtual_service()) == "v2"


def test_replaced_as_a_whole_it_is_divided_again_and_what_came_with_it_stays(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        divided = routes_of(app)
        manifest = app.virtual_service_manifest()
        own = answer("own", "/own")
        manifest["spec"]["virtualHost"]["routes"].insert(0, own)
        app.kubectl("replace", "-f", "-", stdin=json.dumps(manifest))
        app.until(lambda status: status.get("reasserted") == 1 and at(20)(status))
        assert routes_of(app) == [own, *divided]
        order(app, "abort")
        app.until(resting("RolledBack"))
        assert set(app.versions()) == {"v1"}
    assert failures(users.snapshot()) == 0
    expected = copy.deepcopy(divided[1])
    expected["routeAction"] = {"single": divided[1]["routeAction"]["multi"]["destinations"][0]["destination"]}
    assert routes_of(app) == [own, expected]


def test_deleted_and_created_again_it_is_divided_as_recorded_and_the_rollout_ends_well(
    app: Application,
) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    with app.load():
        app.deploy("v2")
        app.until(at(20))
        app.kubectl("delete", "virtualservice", app.name, "-n", "gloo-system")
        app.until(lambda status: "not found" in (status.get("held") or {}).get("message", ""))
        app.apply(app.virtual_service_manifest())
        app.until(lambda status: "held" not in status and at(20)(status))
    with app.load() as users:
        order(app, "promote-full")
        app.until(resting("Promoted"))
        assert set(app.versions()) == {"v2"}
    assert failures(users.snapshot()) == 0
