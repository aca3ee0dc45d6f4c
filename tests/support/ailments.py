"""What can be wrong with a Canary and what surrounds it, by name, and what the doctor should say of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from clinic import (
    IDLE,
    NOW,
    OURS,
    Clinic,
    canary,
    deployment,
    gloo,
    pinned,
    route,
    unpinned,
    upstream,
    virtual_service,
    wrong,
)
from config.status import Held, HeldReason, Status
from controller.cli.visit import DEFINITIONS
from controller.doctor.case import Case
from controller.doctor.finding import Finding, Severity
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
)


Break = Callable[[Clinic], object]

STAGE = {"headers": [{"name": "stage", "value": "canary"}]}
PROBLEM, WARNING, NOTE = Severity.PROBLEM, Severity.WARNING, Severity.NOTE


def kube(**fields: Any) -> dict[str, Any]:
    return {"spec": {"kube": fields}}


def another_definition(clinic: Clinic) -> None:
    for each in clinic.objects[DEFINITIONS].values():
        if each["metadata"]["name"].startswith("canaries"):
            fields = each["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"][
                "properties"
            ]
            del fields["upstream"]


def unestablished(clinic: Clinic) -> None:
    clinic.change(DEFINITIONS, "canaries.crossfade.dev", {"status": {"conditions": None}})


def group(clinic: Clinic) -> None:
    destination = {"destination": {"upstream": {"name": "echo", "namespace": "gloo-system"}}, "weight": 1}
    spec = {"destinations": [destination]}
    clinic.put(UPSTREAM_GROUPS, gloo(UPSTREAM_GROUPS, "UpstreamGroup", "shared", spec))
    action = {"routeAction": {"upstreamGroup": {"name": "shared", "namespace": "gloo-system"}}}
    clinic.put(VIRTUAL_SERVICES, virtual_service("other", {"matchers": [{"prefix": "/"}], **action}))


CURABLE: dict[str, tuple[Break, str, Severity]] = {
    "no definition": (
        lambda it: it.remove(DEFINITIONS, "canaries.crossfade.dev"), "canary-crd", PROBLEM,
    ),
    "another definition": (another_definition, "canary-crd", WARNING),
    "another version of it": (
        lambda it: it.change(
            DEFINITIONS, "canaries.crossfade.dev", {"spec": {"versions": [{"name": "v1", "served": True}]}}
        ),
        "canary-crd",
        PROBLEM,
    ),
    "not established": (unestablished, "canary-crd", PROBLEM),
    "no subset key": (
        lambda it: it.change(UPSTREAMS, "echo", kube(subsetSpec={"selectors": None})), "subset-keys", PROBLEM,
    ),
    "another subset key": (
        lambda it: it.change(UPSTREAMS, "echo", kube(subsetSpec={"selectors": [{"keys": ["app"]}]})),
        "subset-keys",
        PROBLEM,
    ),
    "falls back": (
        lambda it: it.change(UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": None})),
        "fallback",
        WARNING,
    ),
    "renamed Upstream": (
        lambda it: it.change(CANARIES, "echo", {"spec": {"upstream": {"name": "ecco"}}}), "upstream", PROBLEM,
    ),
    "a VirtualService that leaks": (
        lambda it: it.put(VIRTUAL_SERVICES, virtual_service("leak", unpinned())), "unmanaged", PROBLEM,
    ),
    "a VirtualService that stays behind": (
        lambda it: it.put(VIRTUAL_SERVICES, virtual_service("stays", pinned("v1"))), "unmanaged", WARNING,
    ),
    "a RouteTable that leaks": (
        lambda it: it.put(
            ROUTE_TABLES, gloo(ROUTE_TABLES, "RouteTable", "table", {"routes": [unpinned()]})
        ),
        "unmanaged",
        PROBLEM,
    ),
    "an UpstreamGroup that leaks": (group, "unmanaged", PROBLEM),
    "a route by another Upstream stays behind": (
        lambda it: (
            it.put(UPSTREAMS, upstream("shop-echo-80"))
            .put(VIRTUAL_SERVICES, virtual_service("around", pinned("v1", "shop-echo-80")))
        ),
        "unmanaged",
        WARNING,
    ),
    "no version label": (
        lambda it: it.change(
            DEPLOYMENTS, "echo-v1", {"spec": {"template": {"metadata": {"labels": {"version": None}}}}}
        ),
        "version-label",
        PROBLEM,
    ),
    "two versions behind an open route": (
        lambda it: (
            it.put(CANARIES, canary(None))
            .put(VIRTUAL_SERVICES, virtual_service("echo", unpinned()))
            .change(UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": "DEFAULT_SUBSET"}))
            .put(DEPLOYMENTS, deployment("v2", minute=5))
        ),
        "adoption",
        PROBLEM,
    ),
    "no right": (
        lambda it: it.denied.update(
            [("patch", "virtualservices.gateway.solo.io"), ("update", "canaries.crossfade.dev/status")]
        ),
        "controller-rights",
        PROBLEM,
    ),
}  # fmt: skip
"""What is wrong -> how it comes about, which check finds it, and how much it matters."""


INCURABLE: dict[str, tuple[Break, str, Severity, str]] = {
    "no Gloo": (
        lambda it: it.remove(DEFINITIONS, "upstreams.gloo.solo.io"), "gloo-crd", PROBLEM, "install Gloo",
    ),
    "another Gloo": (
        lambda it: it.change(
            DEFINITIONS, "upstreams.gloo.solo.io", {"spec": {"versions": [{"name": "v2", "served": True}]}}
        ),
        "gloo-crd",
        PROBLEM,
        "serves v2; a Gloo that serves v1 is needed",
    ),
    "Gloo's definition is not established": (
        lambda it: it.change(DEFINITIONS, "upstreams.gloo.solo.io", {"status": {"conditions": None}}),
        "gloo-crd",
        PROBLEM,
        "status.conditions does not say Established",
    ),
    "definitions may not be read": (
        lambda it: it.hide(DEFINITIONS), "canary-crd", NOTE, "not known whether it is installed",
    ),
    "no Upstream": (
        lambda it: it.remove(UPSTREAMS, "echo"),
        "upstream",
        PROBLEM,
        "there is none, but spec.upstream of Canary shop/echo names it; create it",
    ),
    "Upstreams may not be read": (
        lambda it: it.hide(UPSTREAMS), "upstream", NOTE, 'cannot list resource "upstreams"',
    ),
    "two Upstreams could be meant": (
        lambda it: (
            it.change(CANARIES, "echo", {"spec": {"upstream": {"name": "ecco"}}})
            .put(UPSTREAMS, upstream("also"))
        ),
        "upstream",
        PROBLEM,
        "pods like its own are behind gloo-system/echo and gloo-system/also",
    ),
    "a static Upstream": (
        lambda it: it.put(UPSTREAMS, gloo(UPSTREAMS, "Upstream", "echo", {"static": {"hosts": []}})),
        "subset-keys",
        PROBLEM,
        "spec has static",
    ),
    "Gloo says nothing of the Upstream": (
        lambda it: it.change(UPSTREAMS, "echo", {"status": None}), "accepted", PROBLEM, "does it run",
    ),
    "Gloo rejects the Upstream": (
        lambda it: it.change(
            UPSTREAMS, "echo", {"status": {"statuses": {"gloo-system": {"state": 2, "reason": "no service"}}}}
        ),
        "accepted",
        PROBLEM,
        "Gloo says Rejected: no service",
    ),
    "Gloo says nothing of the routes": (
        lambda it: it.change(VIRTUAL_SERVICES, "echo", {"status": None}), "accepted", PROBLEM, "does it run",
    ),
    "Gloo warns of the routes": (
        lambda it: it.change(
            VIRTUAL_SERVICES, "echo", {"status": {"statuses": {"gloo-system": {"state": "Warning"}}}}
        ),
        "accepted",
        PROBLEM,
        "Gloo says Warning: no reason; nothing rises until then",
    ),
    "another fallback": (
        lambda it: it.change(UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": "DEFAULT_SUBSET"})),
        "fallback",
        NOTE,
        "fallbackPolicy is DEFAULT_SUBSET",
    ),
    "no fallback for an open route": (
        lambda it: it.put(VIRTUAL_SERVICES, virtual_service("leak", unpinned())),
        "fallback",
        PROBLEM,
        "VirtualService gloo-system/leak: spec.virtualHost.routes[0] is not fixed to a version alone",
    ),
    "falls back while a route is open": (
        lambda it: (
            it.put(VIRTUAL_SERVICES, virtual_service("leak", unpinned()))
            .change(UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": None}))
        ),
        "fallback",
        WARNING,
        "but not yet: VirtualService gloo-system/leak",
    ),
    "falls back while a route leads to nothing": (
        lambda it: it.put(VIRTUAL_SERVICES, virtual_service("stays", pinned("v0"))).change(
            UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": None})
        ),
        "fallback",
        WARNING,
        "but not yet: VirtualService gloo-system/stays: a route leads to v0, which has no ready pod",
    ),
    "falls back without a subset key": (
        lambda it: it.change(UPSTREAMS, "echo", kube(subsetSpec={"selectors": None, "fallbackPolicy": None})),
        "fallback",
        WARNING,
        "but not yet: its selectors have to declare the label first",
    ),
    "falls back while no pod is ready": (
        lambda it: it.change(DEPLOYMENTS, "echo-v1", {"status": {"readyReplicas": 0}}).change(
            UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": None})
        ),
        "fallback",
        WARNING,
        "but not yet: VirtualService gloo-system/echo: a route leads to v1, which has no ready pod",
    ),
    "falls back while not all pods are known": (
        lambda it: it.hide(DEPLOYMENTS).change(UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": None})),
        "fallback",
        WARNING,
        "but not yet",
    ),
    "falls back while not all routes are known": (
        lambda it: (
            it.hide(ROUTE_TABLES)
            .change(UPSTREAMS, "echo", kube(subsetSpec={"fallbackPolicy": None}))
        ),
        "fallback",
        WARNING,
        "but not yet: forbidden: list routetables",
    ),
    "no VirtualService": (
        lambda it: it.remove(VIRTUAL_SERVICES, "echo"), "routes", PROBLEM, "gloo-system/echo not found",
    ),
    "a route around the Upstream": (
        lambda it: (
            it.put(UPSTREAMS, upstream("shop-echo-80"))
            .put(VIRTUAL_SERVICES, virtual_service("around", unpinned("shop-echo-80")))
        ),
        "unmanaged",
        PROBLEM,
        "leads to Upstream gloo-system/shop-echo-80, which has the same Service as gloo-system/echo",
    ),
    "a route that was not chosen": (
        lambda it: (
            it.put(
                VIRTUAL_SERVICES,
                virtual_service("echo", {**pinned("v1"), "name": "web"}, {**unpinned(), "name": "api"}),
            )
            .put(CANARIES, canary(routes=[{"name": "echo", "namespace": "gloo-system", "names": ["web"]}]))
        ),
        "unmanaged",
        PROBLEM,
        "spec.virtualHost.routes[1] leads to Upstream gloo-system/echo, and spec.routes of Canary",
    ),
    "a route by other labels": (
        lambda it: it.put(
            VIRTUAL_SERVICES,
            virtual_service("zone", route({"upstream": OURS, "subset": {"values": {"zone": "a"}}})),
        ),
        "unmanaged",
        PROBLEM,
        "lead it there by version alone",
    ),
    "a route that stayed behind before": (
        lambda it: it.put(VIRTUAL_SERVICES, virtual_service("stays", pinned("v0"))),
        "unmanaged",
        WARNING,
        "and v1 is stable already; lead it there, and name it",
    ),
    "a route that stays behind, kept": (
        lambda it: (
            it.put(VIRTUAL_SERVICES, virtual_service("stays", pinned("v1")))
            .put(CANARIES, canary(promotion={"decommission": "Keep"}))
        ),
        "unmanaged",
        NOTE,
        "stays there when another version is promoted",
    ),
    "testers are caught before": (
        lambda it: (
            it.put(CANARIES, canary(testing={"match": [STAGE]}))
            .put(
                VIRTUAL_SERVICES,
                virtual_service(
                    "echo",
                    route(
                        {"upstream": {"name": "old", "namespace": "gloo-system"}},
                        matchers=[{"prefix": "/", **STAGE}],
                    ),
                    pinned("v1"),
                ),
            )
        ),
        "testing-match",
        WARNING,
        "routes[1] never sees spec.testing.match[0] of Canary shop/echo: routes[0] takes these",
    ),
    "testers have another method": (
        lambda it: (
            it.put(CANARIES, canary(testing={"match": [{"methods": ["POST"]}]}))
            .put(
                VIRTUAL_SERVICES,
                virtual_service("echo", {**pinned("v1"), "matchers": [{"prefix": "/", "methods": ["GET"]}]}),
            )
        ),
        "testing-match",
        WARNING,
        "its own matchers.methods exclude those of the match",
    ),
    "two Deployments of one version": (
        lambda it: it.put(DEPLOYMENTS, deployment("v1", "echo-again")),
        "shared-version",
        PROBLEM,
        "Deployments echo-again and echo-v1 carry the same version v1",
    ),
    "no Deployment": (
        lambda it: it.remove(DEPLOYMENTS, "echo-v1").put(CANARIES, canary(None)),
        "adoption",
        PROBLEM,
        "not adopted: stable should be v1, but no Deployment runs v1",
    ),
    "Deployments may not be read": (
        lambda it: it.hide(DEPLOYMENTS), "version-label", NOTE, "its Deployments are not known",
    ),
    "Canaries may not be read": (
        lambda it: it.hide(CANARIES), "claim", NOTE, "Canaries that may want the same are not known",
    ),
    "an older Canary": (
        lambda it: it.put(
            CANARIES,
            {
                **canary(),
                "metadata": {
                    **canary()["metadata"],
                    "name": "old",
                    "uid": "old",
                    "creationTimestamp": "2025-01-01T00:00:00Z",
                },
            },
        ),
        "claim",
        PROBLEM,
        "belongs to the older Canary shop/old",
    ),
    "no controller": (
        lambda it: it.put(CANARIES, canary(Status())),
        "controller",
        WARNING,
        "status.observedGeneration is 0, but 3 is the latest",
    ),
    "held": (
        lambda it: it.put(
            CANARIES,
            canary(
                replace(IDLE, held=Held(HeldReason.DRIFT, "who is it", NOW, needs_human=True))
            ),
        ),
        "controller",
        WARNING,
        "held as Drift: who is it",
    ),
}  # fmt: skip


"""What is wrong -> how it comes about, which check finds it, how much it matters, and some of the words."""


def missed(examined: Callable[[Case], Iterable[Finding]]) -> Iterator[str]:
    """Name what a doctor does not find, or finds otherwise, or does not cure."""
    if wrong(Clinic().findings(examined)):
        yield "health"
    for name, (break_it, check, severity) in CURABLE.items():
        clinic = Clinic()
        break_it(clinic)
        found = [each for each in wrong(clinic.findings(examined)) if each.check == check]
        if {each.severity for each in found} != {severity} or any(each.fix is None for each in found):
            yield name
            continue
        for each in found:
            clinic.cure(each)
        if any(each.check == check for each in wrong(clinic.findings(examined))):
            yield f"{name}, cured"
    for name, (break_it, check, severity, words) in INCURABLE.items():
        clinic = Clinic()
        break_it(clinic)
        every = wrong(clinic.findings(examined), NOTE, WARNING, PROBLEM)
        said = [each for each in every if each.check == check and words in each.sentence]
        if {(each.severity, each.fix) for each in said} != {(severity, None)}:
            yield name
