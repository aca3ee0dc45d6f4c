"""A hundred steps of one percent, written as the controller writes them, through real Envoy under load."""

import json
from collections.abc import Iterator

import pytest

from config import canary
from config.load import load_canaries
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.objects import RouteHolders
from controller.kube.client import Cluster as Connection
from controller.kube.resources import ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS, VIRTUAL_SERVICES
from controller.kube.watch import Watched
from controller.rollout.moves import Form
from controller.rollout.observation import Acceptance
from releases import Application, Document, failures, wait_for
from sandbox.cluster import Cluster


BY_STAGE = canary.TestingMatch.model_validate({"headers": [{"name": "stage", "value": "canary"}]})
FOREIGN = 7
"""Weight of somebody else's destination on the same route, of 20 in all."""


@pytest.fixture
def gloo(cluster: Cluster) -> Iterator[GlooRoutes]:
    """Give the controller's own hands, without its head."""
    connection = Connection.connect(str(cluster.kubeconfig))
    kinds = (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS)
    holders = [Watched(connection, kind).start() for kind in kinds]
    upstreams = Watched(connection, UPSTREAMS, index=bases).start()
    assert all(watched.wait(20) for watched in (*holders, upstreams))
    yield GlooRoutes(connection, RouteHolders(connection, *holders), upstreams)
    for watched in (*holders, upstreams):
        watched.stop()
    connection.close()


def weights(app: Application) -> list[int]:
    action = app.virtual_service()["spec"]["virtualHost"]["routes"][-1]["routeAction"]
    return [entry["weight"] for entry in action["multi"]["destinations"]]


def shared(app: Application) -> Document:
    """Give a VirtualService whose route also leads to another Upstream, of the same application."""
    manifest = app.virtual_service_manifest()
    route = manifest["spec"]["virtualHost"]["routes"][0]
    ours = route["routeAction"].pop("single")
    other = {"upstream": {"name": f"{app.namespace}-other", "namespace": "gloo-system"}}
    route["routeAction"]["multi"] = {
        "destinations": [
            {"destination": ours, "weight": 20 - FOREIGN},
            {"destination": other, "weight": FOREIGN},
        ]
    }
    return manifest


def test_no_request_fails_and_no_weight_drifts(app: Application, gloo: GlooRoutes) -> None:
    app.install()
    app.deploy("v2")
    app.kubectl(
        "wait", "-n", app.namespace, "deployment/echo-v2", "--for=condition=Available", "--timeout=30s"
    )
    other = app.upstream()
    other["metadata"]["name"] += "-other"
    app.apply(other, shared(app))
    [loaded] = load_canaries(json.dumps(app.canary_manifest()))
    spec = loaded.spec

    def write(form: Form) -> None:
        gloo.write(spec, form)

        def said() -> str:
            seen = gloo.see(spec, form)
            return f"{seen.in_form} {seen.acceptance} {seen.problem}"

        wait_for(said, f"True {Acceptance.ACCEPTED} ")

    wait_for(lambda: gloo.see(spec, Form("v1")).shape, "all versions")
    with app.load(100) as users:
        write(Form("v1"))
        write(Form("v1", "v2", testing=(BY_STAGE,)))
        for weight in range(101):
            write(Form("v1", "v2", weight, (BY_STAGE,)))
            stable, candidate, foreign = weights(app)
            total = stable + candidate + foreign
            assert foreign * 20 == FOREIGN * total
            assert candidate * 100 * 20 == weight * (20 - FOREIGN) * total
        for weight in range(100, -1, -10):
            write(Form("v1", "v2", weight, (BY_STAGE,)))
        write(Form("v1", retired=(BY_STAGE,)))
        requests = users.snapshot()["requests"]
    assert requests > 100, "hardly anybody was there"
    assert failures(users.snapshot()) == 0
    assert weights(app) == [65, 35]
    app.kubectl("delete", "upstream", "-n", "gloo-system", f"{app.namespace}-other")
