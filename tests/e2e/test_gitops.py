"""Tools that put Git back into the cluster, during a rollout and after it."""

import copy
import json
import os
import pathlib
import subprocess
from typing import Any

import pytest
import yaml

from lookout import at, order, resting, shape
from releases import KUBECTL, Application, Document, failures, wait_for


SOAKING = {"steps": [20, 60], "interval": "10m"}
TESTING = {"match": [{"headers": [{"name": "stage", "value": "canary"}]}]}
EXAMPLE = pathlib.Path(__file__).parents[2] / "config" / "examples" / "gitops" / "routes.yaml"
Path = tuple[str, ...]


def kubectl(app: Application, *arguments: str, document: Document | None = None) -> tuple[int, str]:
    """Run kubectl where it may fail; give its exit code and what it says."""
    done = subprocess.run(
        [KUBECTL, *arguments],
        input=None if document is None else yaml.safe_dump(document),
        env={**os.environ, "KUBECONFIG": str(app.cluster.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def applied(app: Application, document: Document, manager: str, *flags: str) -> tuple[int, str]:
    """Apply on the server's side, as this manager."""
    command = ("apply", "--server-side", f"--field-manager={manager}", *flags, "-f", "-")
    return kubectl(app, *command, document=document)


def owned(document: Document, manager: str) -> set[Path]:
    """Give the fields that a manager owns, each as its path."""
    entries = (each for each in document["metadata"]["managedFields"] if each["manager"] == manager)
    return {path for entry in entries for path in leaves(entry["fieldsV1"])}


def leaves(fields: Document, above: Path = ()) -> set[Path]:
    if not fields:
        return {above}
    return {
        path
        for name, below in fields.items()
        if name != "."
        for path in leaves(below, (*above, name.removeprefix("f:")))
    }


def left_to(manager: str, git: Document, live: Document) -> Document:
    """Take over what another manager owns and has changed, as Argo CD does with RespectIgnoreDifferences."""
    wanted = copy.deepcopy(git)
    for path in owned(live, manager):
        theirs, ours = live, wanted
        try:
            for step in path[:-1]:
                theirs, ours = theirs[step], ours[step]
            ours[path[-1]] = theirs[path[-1]]
        except KeyError:
            continue
    return wanted


def managed(app: Application) -> Document:
    words = app.kubectl(
        "get", "virtualservice", app.name, "-n", "gloo-system", "-o", "json", "--show-managed-fields"
    )
    document: Document = json.loads(words)
    return document


def differences(before: Any, after: Any, path: Path = ()) -> set[Path]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        return {found for key in keys for found in differences(before.get(key), after.get(key), (*path, key))}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return {found for at, (old, new) in pairs for found in differences(old, new, (*path, str(at)))}
    return set() if before == after else {path}


def test_server_side_apply_meets_a_conflict_and_forced_is_put_back(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    git = app.virtual_service_manifest()
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        divided = app.virtual_service()["spec"]
        code, said = applied(app, git, "argocd-controller")
        assert code != 0
        assert 'conflict with "crossfade"' in said
        assert ".spec.virtualHost.routes" in said
        assert app.virtual_service()["spec"] == divided

        code, said = applied(app, git, "kustomize-controller", "--force-conflicts")
        assert code == 0, said
        app.until(lambda status: status.get("reasserted") == 1 and at(20)(status))
        assert app.virtual_service()["spec"] == divided
    assert failures(users.snapshot()) == 0


def test_what_argo_cd_applies_with_our_fields_left_alone_is_no_drift(app: Application) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    git = app.virtual_service_manifest()
    git["metadata"]["labels"] = {"team": "web"}
    git["spec"]["virtualHost"]["options"] = {"stats": {"virtualClusters": []}}
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        divided = app.virtual_service()["spec"]["virtualHost"]["routes"]
        wanted = left_to("crossfade", git, managed(app))
        code, said = applied(app, wanted, "argocd-controller", "--force-conflicts")
        assert code == 0, said
        live = app.virtual_service()
        assert live["metadata"]["labels"] == {"team": "web"}
        assert live["spec"]["virtualHost"]["options"] == {"stats": {"virtualClusters": []}}
        assert live["spec"]["virtualHost"]["routes"] == divided
        order(app, "promote-full")
        status = app.until(resting("Promoted"))
    assert failures(users.snapshot()) == 0
    assert not status.get("reasserted")
    assert "PutBack" not in app.events()
    live = app.virtual_service()
    assert live["spec"]["virtualHost"]["options"] == {"stats": {"virtualClusters": []}}


@pytest.mark.parametrize("outcome", ["Promoted", "RolledBack"])
def test_after_a_rollout_we_own_nothing_but_the_list_with_the_destinations(
    app: Application, outcome: str
) -> None:
    app.adopted(shifting=SOAKING, testing=TESTING)
    git = app.virtual_service_manifest()
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        order(app, "promote-full" if outcome == "Promoted" else "abort")
        app.until(resting(outcome))
        app.until(lambda status: not status.get("retiring"))
    assert failures(users.snapshot()) == 0
    live = managed(app)
    ours = {path for path in owned(live, "crossfade") if path[0] != "status"}  # which no Git has
    assert ours == {("spec", "virtualHost", "routes")}
    assert not [name for name in live["metadata"].get("annotations", {}) if "crossfade" in name]
    subset = ("virtualHost", "routes", "0", "routeAction", "single", "subset")
    assert differences(git["spec"], live["spec"]) == {subset}
    assert shape(live) == ("v2" if outcome == "Promoted" else "v1")
    code, said = kubectl(app, "diff", "-f", "-", document=git)
    assert code == 1, said
    removed = {line[1:].strip() for line in said.splitlines() if line.startswith("-") and line[1:2] == " "}
    version = "v2" if outcome == "Promoted" else "v1"
    assert removed - {f"generation: {live['metadata']['generation']}"} == {
        "subset:",
        "values:",
        f"version: {version}",
    }


def split(app: Application) -> list[Document]:
    """Give the example's VirtualService and RouteTable, with the names of this application."""
    text = EXAMPLE.read_text()
    for theirs, ours in (
        ("/echo", "/"),
        ("shop.example.com", app.host),
        ("{name: shop, ", f"{{name: {app.name}, "),
        ("{name: echo, namespace: gloo-system}", f"{{name: {app.namespace}, namespace: gloo-system}}"),
        ("namespace: echo", f"namespace: {app.namespace}"),
    ):
        assert theirs in text
        text = text.replace(theirs, ours)
    virtual_service, table, canary = yaml.safe_load_all(text)
    assert canary["spec"]["routes"] == [{"kind": "RouteTable", "name": "echo", "namespace": app.namespace}]
    return [virtual_service, table]


def test_with_the_routes_in_an_object_of_their_own_git_keeps_all_the_rest(app: Application) -> None:
    virtual_service, table = split(app)
    app.apply(app.service(), app.upstream(), virtual_service, table)
    app.deploy("v1")
    wait_for(lambda: str(app.versions(1)), "v1")
    app.canary(routes=[{"kind": "RouteTable", "name": "echo", "namespace": app.namespace}], shifting=SOAKING)
    app.until(resting("Idle"))
    with app.load() as users:
        app.deploy("v2")
        app.until(at(20))
        virtual_service["spec"]["virtualHost"]["options"] = {"stats": {"virtualClusters": []}}
        code, said = applied(app, virtual_service, "kustomize-controller", "--force-conflicts")
        assert code == 0, said
        order(app, "promote-full")
        app.until(resting("Promoted"))
        assert set(app.versions()) == {"v2"}
    assert failures(users.snapshot()) == 0
    assert "PutBack" not in app.events()
    live = managed(app)
    assert live["spec"] == virtual_service["spec"]
    assert owned(live, "crossfade") == set()
    where = ("routetable", "echo", "-n", app.namespace, "-o", "json", "--show-managed-fields")
    ours = {
        path for path in owned(json.loads(app.kubectl("get", *where)), "crossfade") if path[0] != "status"
    }
    assert ours == {("spec", "routes")}
