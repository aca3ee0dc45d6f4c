"""A cluster in memory that the doctor can visit, and whose objects can be cured by what the doctor prints."""

import copy
import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, cast

from config.canary import GROUP
from config.status import Phase, Revision, Status, dump_status
from controller.cli.visit import (
    DEFINITIONS,
    IDENTITY,
    OWN_REVIEWS,
    REVIEWS,
    SERVICE_ACCOUNTS,
    Visit,
    ask_rights,
    find_account,
    read_definitions,
)
from controller.doctor.case import Case
from controller.doctor.definitions import GLOO, check_definitions, ours
from controller.doctor.examine import examine
from controller.doctor.finding import Apply, Command, Edit, Finding, Patch, Severity
from controller.doctor.rights import OF_APPLICATIONS, OF_GATEWAYS, Account, check_account
from controller.errors import Forbidden, NotFound
from controller.kube.client import Cluster, Listing
from controller.kube.resources import CANARIES, DEPLOYMENTS, UPSTREAMS, VIRTUAL_SERVICES, Resource
from controller.kube.workloads import hash_of
from sandbox.apiserver.merging import json_patch, merge_patch


Document = dict[str, Any]

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
SHOP, GATEWAY = "shop", "gloo-system"
CONTROLLER = "system:serviceaccount:crossfade:crossfade"
ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}
ACCEPTED = {"statuses": {GATEWAY: {"state": "Accepted"}}}
OURS = {"name": "echo", "namespace": GATEWAY}


def pinned(version: str, upstream: str = "echo") -> Document:
    """Give a route of every request to one version."""
    subset = {"subset": {"values": {"version": version}}}
    return route({"upstream": {**OURS, "name": upstream}, **subset})


def unpinned(upstream: str = "echo") -> Document:
    """Give a route of every request to all versions."""
    return route({"upstream": {**OURS, "name": upstream}})


def route(destination: Document, **more: Any) -> Document:
    return {"matchers": [{"prefix": "/"}], "routeAction": {"single": destination}, **more}


def virtual_service(name: str, *routes: Document) -> Document:
    spec = {"virtualHost": {"domains": [f"{name}.test"], "routes": list(routes)}}
    return gloo(VIRTUAL_SERVICES, "VirtualService", name, spec)


def gloo(resource: Resource, kind: str, name: str, spec: Document) -> Document:
    """Give an object of Gloo's that Gloo has accepted."""
    metadata = {"name": name, "namespace": GATEWAY}
    identity = {"apiVersion": resource.api_version, "kind": kind, "metadata": metadata}
    return {**identity, "spec": spec, "status": ACCEPTED}


def upstream(name: str = "echo", **kube: Any) -> Document:
    usual = {"selector": {"app": "echo"}, "serviceName": "echo", "serviceNamespace": SHOP, "servicePort": 80}
    subsets = {"subsetSpec": {"selectors": [{"keys": ["version"]}], "fallbackPolicy": "NO_FALLBACK"}}
    return gloo(UPSTREAMS, "Upstream", name, {"kube": {**usual, **subsets, **kube}})


def deployment(version: str, name: str = "", minute: int = 0, **labels: str) -> Document:
    template = {"metadata": {"labels": {"app": "echo", "version": version, **labels}}, "spec": {}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name or f"echo-{version}",
            "namespace": SHOP,
            "uid": name or version,
            "generation": 1,
            "creationTimestamp": f"2026-03-01T10:{minute:02}:00Z",
        },
        "spec": {"replicas": 1, "template": template},
        "status": {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "observedGeneration": 1},
    }


V1 = Revision("v1", hash_of(deployment("v1")["spec"]["template"]), "echo-v1")
IDLE = Status(phase=Phase.IDLE, stable=V1, observed_generation=3, reason="v1 serves everybody")


def canary(status: Status | None = IDLE, **spec: Any) -> Document:
    metric = {
        "name": "errors",
        "ratio": {"bad": 'bad{version="{{ version }}"}', "total": 'all{version="{{ version }}"}'},
    }
    usual = {
        "workload": {"selector": {"app": "echo"}},
        "upstream": OURS,
        "routes": [{"kind": "VirtualService", **OURS}],
        "analysis": {"metrics": [metric]},
    }
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "Canary",
        "metadata": {
            "name": "echo",
            "namespace": SHOP,
            "uid": "canary",
            "resourceVersion": "7",
            "generation": 3,
            "creationTimestamp": "2026-03-01T09:00:00Z",
        },
        "spec": {**usual, **spec},
        **({"status": dump_status(status)} if status is not None else {}),
    }


class Clinic:
    """Objects of a cluster where nothing is wrong, until a test says otherwise."""

    def __init__(self) -> None:
        self.objects: dict[Resource, dict[tuple[str, str], Document]] = {}
        self.unreadable: set[Resource] = set()
        self.denied: set[tuple[str, str]] = set()
        """Verb and resource that the controller's account lacks, unless a role grants it."""
        self.granted: list[Document] = []
        """Roles and their bindings."""
        self._define()
        for name, version in GLOO.items():
            served = {"versions": [{"name": version, "served": True}]}
            self.put(DEFINITIONS, {"metadata": {"name": name}, "spec": served, "status": ESTABLISHED})
        self.put(SERVICE_ACCOUNTS, {"metadata": {"name": "crossfade", "namespace": "crossfade"}})
        self.put(CANARIES, canary())
        self.put(DEPLOYMENTS, deployment("v1"))
        self.put(UPSTREAMS, upstream())
        self.put(VIRTUAL_SERVICES, virtual_service("echo", pinned("v1")))
        self.put(UPSTREAMS, upstream("cart", selector={"app": "cart"}, serviceName="cart"))
        self.put(VIRTUAL_SERVICES, virtual_service("cart", unpinned("cart")))

    def put(self, resource: Resource, document: Document) -> Self:
        """Store an object, in place of one of the same name."""
        metadata = document["metadata"]
        where = metadata.get("namespace", ""), metadata["name"]
        self.objects.setdefault(resource, {})[where] = copy.deepcopy(document)
        return self

    def change(self, resource: Resource, name: str, patch: Mapping[str, Any]) -> Self:
        """Apply a merge patch to the one object of this name."""
        (where,) = [each for each in self.objects[resource] if each[1] == name]
        self.objects[resource][where] = merge_patch(self.objects[resource][where], dict(patch))
        return self

    def remove(self, resource: Resource, name: str) -> Self:
        (where,) = [each for each in self.objects[resource] if each[1] == name]
        del self.objects[resource][where]
        return self

    def hide(self, resource: Resource) -> Self:
        """Refuse to show objects of a kind."""
        self.unreadable.add(resource)
        return self

    def case(self) -> Case:
        """Let the doctor take up the Canary."""
        with self.visit() as visit:
            return visit.stored(self.objects[CANARIES][SHOP, "echo"])

    def visit(self) -> Visit:
        return Visit(cast("Cluster", _Ward(self)), None, NOW)

    def findings(self, examined: Callable[[Case], Iterable[Finding]] = examine) -> list[Finding]:
        """Give everything that the doctor finds; nobody asks Prometheus."""
        cluster = cast("Cluster", _Ward(self))
        account = find_account(cluster, CONTROLLER)
        account = account if account.unasked else self._asked(cluster, account)
        return [
            *check_definitions(read_definitions(cluster)),
            *examined(self.case()),
            *check_account(account),
        ]

    def cure(self, finding: Finding) -> None:
        """Carry out what the doctor prints."""
        match finding.fix:
            case Patch() as fix:
                (resource,) = [each for each in self.objects if str(each) == fix.resource]
                found = self.objects[resource][fix.namespace, fix.name]
                patched = (
                    merge_patch(found, dict(fix.body))
                    if isinstance(fix.body, Mapping)
                    else json_patch(found, [dict(each) for each in fix.body])
                )
                self.objects[resource][fix.namespace, fix.name] = cast("Document", patched)
            case Apply(documents=documents):
                self.granted += map(dict, documents)
            case Command(command="crossfade crd | kubectl apply -f -"):
                self._define()
            case Command() | Edit() | None:
                raise AssertionError(f"cannot be carried out: {finding}")

    def _define(self) -> None:
        for each in ours().values():
            self.put(DEFINITIONS, {**each, "status": ESTABLISHED})

    def _asked(self, cluster: Cluster, account: Account) -> Account:
        account = ask_rights(cluster, account, OF_APPLICATIONS, [SHOP])
        return ask_rights(cluster, account, OF_GATEWAYS, [""])


def wrong(findings: Iterable[Finding], *severities: Severity) -> list[Finding]:
    """Give the findings of these severities; warnings and problems if none is named."""
    wanted = severities or (Severity.WARNING, Severity.PROBLEM)
    return [finding for finding in findings if finding.severity in wanted]


class _Ward:
    """Answers for `controller.kube.client.Cluster`."""

    user = "jane"

    def __init__(self, clinic: Clinic) -> None:
        self._clinic = clinic

    def read(self, resource: Resource, namespace: str, name: str) -> Document:
        self._check(resource)
        found = self._clinic.objects.get(resource, {}).get((namespace, name))
        if found is None:
            raise NotFound(f"get {resource} {namespace}/{name}: not found")
        return found

    def list(self, resource: Resource, namespace: str | None = None, name: str | None = None) -> Listing:
        self._check(resource)
        found = self._clinic.objects.get(resource, {})
        listed = (
            each
            for where, each in found.items()
            if namespace in (None, where[0]) and name in (None, where[1])
        )
        return Listing(tuple(copy.deepcopy(each) for each in listed), "1")

    def watch(self, _resource: Resource, *_arguments: object, **_options: object) -> "_Silence":
        return _Silence()

    def create(self, resource: Resource, _namespace: str, document: Document) -> Document:
        self._check(resource)
        if resource == IDENTITY:
            return {"status": {"userInfo": {"username": "jane"}}}
        assert resource in (REVIEWS, OWN_REVIEWS)
        asked = document["spec"]["resourceAttributes"]
        allowed = resource == OWN_REVIEWS or self._allowed(asked)
        return {**document, "status": {"allowed": allowed}}

    def _allowed(self, asked: Mapping[str, str]) -> bool:
        what = f"{asked['resource']}.{asked['group']}".strip(".")
        what += f"/{asked['subresource']}" if asked["subresource"] else ""
        return (asked["verb"], what) not in self._clinic.denied or self._granted(asked)

    def _granted(self, asked: Mapping[str, str]) -> bool:
        plural = asked["resource"] + (f"/{asked['subresource']}" if asked["subresource"] else "")
        return any(
            asked["group"] in rule["apiGroups"]
            and plural in rule["resources"]
            and asked["verb"] in rule["verbs"]
            for rule in self._rules(asked["namespace"])
        )

    def _rules(self, namespace: str) -> Iterator[Mapping[str, Any]]:
        """Give the rules of all roles that are bound to the controller, there or everywhere."""
        subject = {"kind": "ServiceAccount", "name": "crossfade", "namespace": "crossfade"}
        for binding in self._clinic.granted:
            where = binding["metadata"].get("namespace", "")
            if binding.get("subjects") != [subject] or where not in ("", namespace):
                continue
            for role in self._clinic.granted:
                named = {"kind": role["kind"], "name": role["metadata"]["name"]}
                if (
                    named.items() <= binding["roleRef"].items()
                    and role["metadata"].get("namespace", "") == where
                ):
                    yield from role["rules"]

    def _check(self, resource: Resource) -> None:
        if resource in self._clinic.unreadable:
            raise Forbidden(f'list {resource}: User "jane" cannot list resource "{resource.plural}"')


class _Silence:
    """A watch that tells of nothing until it is closed."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    def close(self) -> None:
        self._closed.set()

    def __iter__(self) -> Iterator[Any]:
        self._closed.wait()
        return iter(())
