"""The service account may do exactly what the controller's code asks for, wherever it asks.

The requests are read off the source: `cluster.<method>(RESOURCE, ...)` and `Watched(cluster, RESOURCE, ...)`.
The command line is left out, because it acts as whoever types.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import controller
from controller.kube import resources
from controller.kube.client import Cluster
from controller.kube.resources import (
    CANARIES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Resource,
)


Document = dict[str, Any]
Render = Callable[..., list[Document]]
Right = tuple[str, str]
"""A resource like `canaries.crossfade.dev/status`, and a verb."""

CODE = Path(controller.__file__).parent
GENERIC = {CODE / "kube" / "watch.py", CODE / "kube" / "kept.py"}  # list and watch what they are told to
VERBS = {
    "read": "get",
    "list": "list",
    "watch": "watch",
    "create": "create",
    "patch": "patch",
    "replace": "update",
    "delete": "delete",
}


@pytest.mark.parametrize("values", [{}, {"watchNamespace": "shop"}], ids=["everywhere", "one-namespace"])
def test_the_rights_are_those_that_the_code_needs(render: Render, values: Document) -> None:
    granted = Counter(
        (role["metadata"].get("namespace"), right)
        for role in _roles(render(values))
        for right in _granted(role["rules"])
    )
    assert max(granted.values()) == 1
    assert {right for _, right in granted} == set(_asked())


def test_every_way_to_ask_is_known() -> None:
    public = {name for name in vars(Cluster) if not name.startswith("_")}
    assert public - {"connect", "close"} == set(VERBS)


APPLICATIONS = {
    *(str(CANARIES), f"{CANARIES}/status", str(METRIC_TEMPLATES)),
    *(str(DEPLOYMENTS), str(CONFIG_MAPS), str(EVENTS)),
}
GATEWAYS = {str(each) for each in (VIRTUAL_SERVICES, ROUTE_TABLES, UPSTREAM_GROUPS, UPSTREAMS)}


def test_looking_after_one_namespace_needs_rights_only_there_and_where_its_canaries_reach(
    render: Render,
) -> None:
    assert _reach(render({"watchNamespace": "shop"})) == {
        "shop": APPLICATIONS | GATEWAYS,
        "gloo-system": GATEWAYS,
        "crossfade-system": {str(CONFIG_MAPS)},
    }


def test_canaries_that_reach_everywhere_need_rights_on_gateways_everywhere(render: Render) -> None:
    assert _reach(render({"watchNamespace": "shop", "allowedNamespaces": ["*"]})) == {
        "shop": APPLICATIONS,
        None: GATEWAYS,
        "crossfade-system": {str(CONFIG_MAPS)},
    }


def test_looking_after_several_namespaces_needs_the_same_rights_in_each(render: Render) -> None:
    one, two = (
        [role["rules"] for role in _roles(render(values)) if role["metadata"].get("namespace") == "shop"]
        for values in ({"watchNamespace": "shop"}, {"watchNamespaces": ["cart", "shop"]})
    )
    assert one == two
    both = {
        role["metadata"].get("namespace") for role in _roles(render({"watchNamespaces": ["cart", "shop"]}))
    }
    assert both == {"cart", "shop", "crossfade-system", "gloo-system"}


@pytest.mark.parametrize(
    "values",
    [{}, {"watchNamespace": "shop"}, {"watchNamespaces": ["cart", "shop"]}],
    ids=["everywhere", "one-namespace", "two-namespaces"],
)
def test_every_role_is_bound_to_the_account_that_the_pod_runs_as(render: Render, values: Document) -> None:
    documents = render(values)
    (pod,) = [
        document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Deployment"
    ]
    account = {
        "kind": "ServiceAccount",
        "name": pod["serviceAccountName"],
        "namespace": "crossfade-system",
    }
    assert [account["name"]] == [
        document["metadata"]["name"] for document in documents if document["kind"] == "ServiceAccount"
    ]
    bound = [document for document in documents if document["kind"].endswith("RoleBinding")]
    assert [binding["subjects"] for binding in bound] == [[account]] * len(bound)
    assert {
        (binding["roleRef"]["kind"], binding["metadata"].get("namespace"), binding["roleRef"]["name"])
        for binding in bound
    } == {
        (role["kind"], role["metadata"].get("namespace"), role["metadata"]["name"])
        for role in _roles(documents)
    }


def test_releases_of_one_name_in_two_namespaces_do_not_share_cluster_wide_rights(render: Render) -> None:
    names = [role["metadata"]["name"] for role in _roles(render())]
    assert all(name.startswith("crossfade-system:crossfade:") for name in names)


def _roles(documents: Iterable[Document]) -> list[Document]:
    return [document for document in documents if document["kind"] in ("Role", "ClusterRole")]


def _reach(documents: Iterable[Document]) -> dict[str | None, set[str]]:
    """Give the resources that may be used in some way, by namespace; None: everywhere."""
    reach: dict[str | None, set[str]] = {}
    for role in _roles(documents):
        found = {resource for resource, _ in _granted(role["rules"])}
        reach.setdefault(role["metadata"].get("namespace"), set()).update(found)
    return reach


def _granted(rules: Iterable[Document]) -> Iterator[Right]:
    for rule in rules:
        assert set(rule) - {"resourceNames"} == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                plural, _, subresource = resource.partition("/")
                what = str(Resource(group, "v1", plural)) + (f"/{subresource}" if subresource else "")
                yield from ((what, verb) for verb in rule["verbs"])


def _asked() -> Iterator[Right]:
    for path in sorted(CODE.rglob("*.py")):
        if CODE / "cli" in path.parents or path in GENERIC:
            continue
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Call):
                yield from _asked_by(node, path)


def _asked_by(call: ast.Call, path: Path) -> Iterator[Right]:
    match call.func, call.args:
        case ast.Name("Watched" | "kept"), [_, resource, *_]:
            yield from ((_named(resource, path), verb) for verb in ("list", "watch"))
        case ast.Attribute(ast.Name("cluster") | ast.Attribute(attr="_cluster"), method), [resource, *_]:
            given = [keyword.value for keyword in call.keywords if keyword.arg == "subresource"]
            subresource = "".join(f"/{ast.literal_eval(value)}" for value in given)
            yield _named(resource, path) + subresource, VERBS[method]
        case _:
            return


def _named(resource: ast.expr, path: Path) -> str:
    place = f"{path}:{resource.lineno}"
    assert isinstance(resource, ast.Name), f"{place}: name the resource, so that rights can be checked"
    return str(getattr(resources, resource.id))
