"""The chart grants what the controller needs and nothing more: rollouts under authorization, all rights used.

What every other end-to-end test does, it does with the chart's rights for a whole cluster. Here is one
namespace, a lease, and on the way every request that the controller is able to make.
"""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml

from faults import OURS, Fault, faults
from granted import NAMESPACE, Account, Asked, asked, rights_of
from releases import Application, Controller, Document, wait_for
from sandbox.apiserver.rbac import Policy, account
from sandbox.cluster import Cluster


SHOP = "test-rights"
RELEASE = "small"
ELECTION = {"leaderElection": {"enabled": True}}
HOLDERS = (
    "virtualservices.gateway.solo.io",
    "routetables.gateway.solo.io",
    "upstreamgroups.gloo.solo.io",
)
ROLES = ("Role", "ClusterRole")


class Shop(Application):
    """An application whose routes are in a VirtualService, a RouteTable and an UpstreamGroup."""

    def install(self, version: str = "v1", *arguments: str, **deployment: Any) -> None:
        upstream = {"name": self.name, "namespace": "gloo-system"}
        route = {"matchers": [{"prefix": "/team"}], "routeAction": {"single": {"upstream": upstream}}}
        destination = {"destination": {"upstream": upstream}, "weight": 100}
        table = {"apiVersion": "gateway.solo.io/v1", "kind": "RouteTable", "spec": {"routes": [route]}}
        group = {
            "apiVersion": "gloo.solo.io/v1",
            "kind": "UpstreamGroup",
            "spec": {"destinations": [destination]},
        }
        self.apply(*({**each, "metadata": upstream} for each in (table, group)))
        super().install(version, *arguments, **deployment)

    def virtual_service_manifest(self) -> Document:
        manifest = super().virtual_service_manifest()
        ref = {"name": self.name, "namespace": "gloo-system"}
        manifest["spec"]["virtualHost"]["routes"][:0] = [
            {"matchers": [{"prefix": "/team"}], "delegateAction": {"ref": ref}},
            {"matchers": [{"prefix": "/shared"}], "routeAction": {"upstreamGroup": ref}},
        ]
        return manifest

    def template(self) -> Document:
        """Give the MetricTemplate that this application is measured by."""
        total = f'http_requests_total{{namespace="{self.namespace}", version="{{{{ version }}}}"}}'
        ratio = {"bad": f'{total[:-1]}, code="500"}}', "total": total}
        return {
            "apiVersion": "crossfade.dev/v1alpha1",
            "kind": "MetricTemplate",
            "metadata": {"name": "failures", "namespace": self.namespace},
            "spec": {"ratio": ratio},
        }

    def release(self, destinations: str) -> None:
        """Apply a Canary that decommissions what it can, and goes on as soon as it may."""
        named = {"name": self.name, "namespace": "gloo-system"}
        metric = {"templateRef": {"name": "failures"}, "max": "10%"}
        self.canary(
            destinations=destinations,
            routes=[{"kind": "VirtualService", **named}, {"kind": "UpstreamGroup", **named}],
            shifting={"steps": [50], "interval": "1s"},
            analysis={"interval": "1s", "minRequests": 20, "metrics": [metric]},
            promotion={"decommission": "Delete"},
            rollback={"scaleDown": "ScaleToZero"},
        )

    def clones(self) -> dict[str, str]:
        """Give the Upstreams that were made for versions: name -> the version that it selects."""
        ours = ("-l", "app.kubernetes.io/managed-by=crossfade", "-o", "json")
        listed = json.loads(self.kubectl("get", "upstream", "-n", "gloo-system", *ours))["items"]
        names = {each["metadata"]["name"]: each["spec"]["kube"]["selector"]["version"] for each in listed}
        return {name: version for name, version in names.items() if name.startswith(f"{self.name}-")}


@pytest.fixture(scope="module")
def granted() -> Account:
    return Account.of_release(RELEASE, watchNamespace=SHOP, **ELECTION)


@pytest.fixture(scope="module")
def requests_made(
    cluster: Cluster,
    kubectl: Callable[..., str],
    controller: Controller,
    granted: Account,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Asked]]:
    """Let a controller with these rights release a good version and a bad one; give what it asked for."""
    app, folder = Shop(cluster, kubectl, SHOP), tmp_path_factory.mktemp("rights")
    kubectl("create", "namespace", SHOP)
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(granted.documents))
    controller.kill()  # it looks after this namespace too
    try:
        with Controller(
            granted.kubeconfig(cluster.apiserver, folder / "kubeconfig"),
            cluster.prometheus,
            folder,
            namespace=SHOP,
            leader_election="true",
            lease_name=f"{RELEASE}-crossfade",
            lease_namespace=NAMESPACE,
            stop_configmap=f"{NAMESPACE}/crossfade-stop",
        ) as running:
            released(app)
            assert running.stop() == 0
        assert granted.name not in running.log.read_text(), "the chart does not grant what was needed"
        yield [each for each in asked(cluster.apiserver) if each.user == granted.name]
    finally:
        kubectl("delete", "canary", "-n", SHOP, "--all", "--wait=false")
        kubectl("delete", "virtualservice,routetable,upstreamgroup,upstream", "-n", "gloo-system", SHOP)
        kubectl("delete", "namespace", SHOP, "--wait=false")
        controller.start()
        controller.wait_until_started()


def released(app: Shop) -> None:
    """Release v2, which is good, over subsets, and v3, which is bad, over Upstreams."""
    app.install()
    app.apply(app.template())
    first = [conflict("patch", each) for each in HOLDERS]
    with app.load(100):
        with faults(
            app.cluster.apiserver, *first, conflict("update", "canaries.crossfade.dev/status")
        ) as left:
            app.release("Subsets")
            app.until(lambda status: status.get("phase") == "Idle")
            assert left() == []
        app.deploy("v2")
        assert app.ended("v2")["outcome"] == "Promoted"
        wait_for(lambda: app.kubectl("get", "deploy", "-n", SHOP, "-o", "name"), "deployment.apps/echo-v2\n")
        app.until(lambda status: not status.get("retiring"))
        with faults(app.cluster.apiserver, conflict("create", "upstreams.gloo.solo.io")) as left:
            app.release("Upstreams")
            app.until(lambda _: app.clones() == {f"{SHOP}-v2": "v2"})
            assert left() == []
        spoil = [{"op": "replace", "path": "/spec/kube/selector/version", "value": "v1"}]
        where = ("-n", "gloo-system", f"{SHOP}-v2")
        app.kubectl("patch", "upstream", *where, "--type=json", "-p", json.dumps(spoil))
        app.until(lambda _: app.clones() == {f"{SHOP}-v2": "v2"})
        app.deploy("v3", "--error-rate=0.5", "--seed=1")
        entry = app.ended("v3")
        assert (entry["outcome"], entry["reason"].split(":")[0]) == ("RolledBack", "harmful")
        app.until(lambda status: not status.get("retiring") and len(app.clones()) == 1)
    assert app.deployment("v3")["spec"]["replicas"] == 0
    assert set(app.versions()) == {"v2"}


def conflict(verb: str, resource: str) -> Fault:
    return {"fault": "answer", "code": 409, "verb": verb, "resource": resource, "userAgent": OURS}


def test_rollouts_need_no_right_that_is_not_granted(requests_made: list[Asked]) -> None:
    assert requests_made
    assert [each for each in requests_made if not each.allowed] == []


def test_whatever_is_taken_away_is_missed(requests_made: list[Asked], granted: Account) -> None:
    assert denied(granted.documents, granted, requests_made) == []
    missed = {right: denied(left, granted, requests_made) for right, left in curtailed(granted.documents)}
    assert len(missed) > 30
    assert [right for right, calls in missed.items() if not calls] == []


def test_for_a_whole_cluster_the_same_is_granted_and_nothing_more(
    requests_made: list[Asked], granted: Account
) -> None:
    everywhere = Account.of_release(RELEASE, **ELECTION)
    assert everywhere.rights() == granted.rights()
    assert denied(everywhere.documents, granted, requests_made) == []
    missed = {right: denied(left, granted, requests_made) for right, left in curtailed(everywhere.documents)}
    assert len(missed) > 30
    assert [right for right, calls in missed.items() if not calls] == []


def test_outside_of_its_namespace_it_may_do_none_of_this(
    requests_made: list[Asked], granted: Account
) -> None:
    inside = [each for each in requests_made if each.call.namespace == SHOP]
    outside = [replace(each, call=replace(each.call, namespace="other")) for each in inside]
    assert inside
    assert denied(granted.documents, granted, outside) == outside


def denied(documents: Any, granted: Account, made: list[Asked]) -> list[Asked]:
    """Give the requests that would be refused if these were all roles and bindings."""
    policy, user = Policy.of(documents), account(*granted.name.split(":")[2:])
    return [each for each in made if not policy.judge(user, each.call).allowed]


def curtailed(documents: Any) -> Iterator[tuple[tuple[str, int, str, str], list[Document]]]:
    """Give all ways to take one verb on one resource out of one rule: what was taken, and what is left.

    A role that is the same in several namespaces loses it in all of them.
    """
    roles = {each["metadata"]["name"]: each for each in documents if each["kind"] in ROLES}
    for name, role in roles.items():
        for m, rule in enumerate(role["rules"]):
            for right in rights_of(rule):
                left = copy.deepcopy(list(documents))
                for each in left:
                    if each["kind"] in ROLES and each["metadata"]["name"] == name:
                        each["rules"][m : m + 1] = [
                            one for one in _single(rule) if right not in rights_of(one)
                        ]
                yield (name, m, *right), left


def _single(rule: Document) -> Iterator[Document]:
    """Split a rule into rules for one verb on one resource each."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield {**rule, "apiGroups": [group], "resources": [resource], "verbs": [verb]}
