"""Rollouts to be interrupted: where the routes are, how a version is released, and what comes between."""

from collections.abc import Callable
from typing import Any

from config.status import HeldReason, Phase
from controller.kube.resources import CANARIES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES
from controller.rollout.observation import Do
from memory import CANARY, KEY, Server
from situations import STAGE


Json = dict[str, Any]
Happening = Callable[[Server], None]

GLOO = "gloo-system"
SERVICE = ("virtualservices", GLOO, "echo")
OTHERS: Json = {"upstream": {"name": "cart", "namespace": "shop"}}
METRIC: Json = {
    "name": "errors",
    "ratio": {"bad": 'bad{version="{{ version }}"}', "total": 'total{version="{{ version }}"}'},
    "max": "1%",
}
SPEC: Json = {
    "workload": {"selector": {"app": "echo"}},
    "upstream": {"name": "echo", "namespace": GLOO},
    "routes": [{"kind": "VirtualService", "name": "echo", "namespace": GLOO}],
    "testing": {"match": [STAGE], "duration": "5s", "requests": 5},
    "shifting": {"steps": [50, 100], "interval": "5s"},
    "baking": {"duration": "5s"},
    "analysis": {"interval": "5s", "metrics": [METRIC], "blind": {"after": "10s"}},
}
SHADOWED = {"destinations": "Upstreams", "shadowing": {"percentage": 10, "duration": "5s"}}
SEVERAL = {
    "routes": [
        {"kind": "VirtualService", "name": "echo", "namespace": GLOO},
        {"kind": "RouteTable", "name": "partners", "namespace": GLOO},
        {"kind": "UpstreamGroup", "name": "echo", "namespace": GLOO},
    ]
}
NAMED = {
    "workload": None,
    "upstream": None,
    "versions": {
        "stable": {"name": "echo-old", "namespace": GLOO},
        "candidate": {"name": "echo-new", "namespace": GLOO},
    },
}
"""Ways to set up a Canary, as fields of its spec."""


def cluster(**fields: Any) -> Server:
    """Give a cluster in which v1 runs behind routes to all versions, and a Canary not yet looked at."""
    server = Server()
    kube = {"selector": {"app": "echo"}, "subsetSpec": {"selectors": [{"keys": ["version"]}]}}
    for name in ("echo", "echo-old", "echo-new") if "versions" in fields else ("echo",):
        server.put(UPSTREAMS, _object("Upstream", name, {"kube": kube}))
    first = "echo-old" if "versions" in fields else "echo"
    routes: list[Json] = [
        {"name": "first", "matchers": [{"exact": "/a"}], "redirectAction": {"hostRedirect": "example.org"}},
        {"matchers": [{"prefix": "/"}], "routeAction": {"single": _leading(first)}, "x-new": [1]},
        {"name": "last", "matchers": [{"prefix": "/z"}], "directResponseAction": {"status": 404}},
    ]
    host = {"domains": ["*"], "routes": routes}
    server.put(VIRTUAL_SERVICES, _object("VirtualService", "echo", {"virtualHost": host}))
    if "routes" in fields:
        _put_others(server)
    if "versions" not in fields:
        server.deploy("v1")
    spec = {name: value for name, value in {**SPEC, **fields}.items() if value is not None}
    server.put(
        CANARIES, {"kind": "Canary", "metadata": {"name": KEY.name, "namespace": KEY.namespace}, "spec": spec}
    )
    server.pass_time(server.next_report or server.now)
    return server


def _put_others(server: Server) -> None:
    both = [{"destination": OTHERS, "weight": 30}, {"destination": _leading("echo"), "weight": 70}]
    action = {"multi": {"destinations": both}}
    table: list[Json] = [{"matchers": [{"prefix": "/partners"}], "routeAction": action}]
    server.put(ROUTE_TABLES, _object("RouteTable", "partners", {"routes": table}))
    group = {"destinations": [{"destination": _leading("echo"), "weight": 1}]}
    server.put(UPSTREAM_GROUPS, _object("UpstreamGroup", "echo", group))
    cart = {"name": "cart", "namespace": "shop"}
    server.put(UPSTREAMS, {**_object("Upstream", "cart", {"static": {}}), "metadata": cart})


def _object(kind: str, name: str, spec: Json) -> Json:
    group = "gloo.solo.io" if kind.startswith("Upstream") else "gateway.solo.io"
    metadata = {"name": name, "namespace": GLOO}
    return {"apiVersion": f"{group}/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _leading(name: str) -> Json:
    return {"upstream": {"name": name, "namespace": GLOO}}


def resting(server: Server) -> bool:
    """Nothing is under way."""
    return server.status.phase in {Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK}


def at(phase: Phase, weight: int | None = None) -> Callable[[Server], bool]:
    """Give the moment at which a rollout has got there."""

    def found(server: Server) -> bool:
        status = server.status
        return status.phase is phase and weight in {None, status.weight}

    return found


def deployed(version: str) -> Happening:
    return lambda server: server.deploy(version)


def ordered(do: Do, order_id: str = "9") -> Happening:
    return lambda server: server.order(do, order_id)


def in_order(server: Server) -> bool:
    """No order waits to be carried out."""
    return not server.documents[CANARY]["metadata"].get("annotations")


def held(reason: HeldReason) -> Callable[[Server], bool]:
    def found(server: Server) -> bool:
        return server.status.held is not None and server.status.held.reason is reason

    return found


def turns_harmful(server: Server) -> None:
    server.harmful = frozenset({"v2", "echo-new"})


def is_given_everything_by_hand(server: Server) -> None:
    """Change the main route as people do who cannot wait."""

    def change(document: Json) -> None:
        for route in document["spec"]["virtualHost"]["routes"]:
            if "x-new" in route and "headers" not in route["matchers"][0]:
                subset = {"values": {"version": "v2"}}
                route["routeAction"] = {"single": {**_leading("echo"), "subset": subset}}

    server.edit(SERVICE, change)


ENDINGS: dict[str, Happening] = {
    "aborted": ordered(Do.ABORT),
    "deleted": lambda server: server.drop(CANARY),
    "harmful": turns_harmful,
    "crashed": lambda server: server.crash("v2"),
    "gone": lambda server: server.drop(("deployments", KEY.namespace, "echo-v2")),
    "scaled to zero": lambda server: server.deploy("v2", replicas=0),
    "superseded": deployed("v3"),
    "changed": lambda server: server.deploy("v2", template="other"),
    "not wanted": lambda server: server.respec(workload={"selector": {"app": "echo"}, "version": "v1"}),
    "drifted": is_given_everything_by_hand,
    "hurried": ordered(Do.PROMOTE_FULL),
}
"""What may happen to a candidate in the middle of its release."""
