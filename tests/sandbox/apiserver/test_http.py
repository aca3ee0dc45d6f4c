"""The server as clients see it on the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import requests


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Json, Object
    from sandbox.apiserver.testing import ApiServer


_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
_PROTOBUF = "application/vnd.kubernetes.protobuf"


def _maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def _create(server: ApiServer, namespace: str, name: str, **labels: str) -> Object:
    body = {"metadata": {"name": name, "labels": labels}, "data": {"a": "1"}}
    code, found = server.request("POST", _maps(namespace), body)
    assert code == 201
    return dict(found)


def _names(found: Json) -> list[str]:
    return [each["metadata"]["name"] for each in found["items"]]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/livez", "/livez/ping"])
def test_probes_say_ok(server: ApiServer, path: str) -> None:
    assert requests.get(server.url + path, timeout=30).text == "ok"


def test_the_version_says_whose_it_is(server: ApiServer) -> None:
    assert "crossfade-sandbox" in server.request("GET", "/version")[1]["gitVersion"]


def test_discovery_in_its_old_form(server: ApiServer) -> None:
    assert server.request("GET", "/api")[1]["versions"] == ["v1"]
    groups = {each["name"]: each for each in server.request("GET", "/apis")[1]["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert server.request("GET", "/apis/apps")[1]["name"] == "apps"
    listed = {each["name"]: each for each in server.request("GET", "/apis/apps/v1")[1]["resources"]}
    assert listed["deployments"]["shortNames"] == ["deploy"]
    assert listed["deployments/scale"]["kind"] == "Scale"


def test_discovery_in_its_aggregated_form(server: ApiServer) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    code, found = server.request("GET", "/apis", Accept=accept)
    assert (code, found["kind"]) == (200, "APIGroupDiscoveryList")
    (apps,) = [each for each in found["items"] if each["metadata"]["name"] == "apps"]
    resources = {each["resource"]: each for each in apps["versions"][0]["resources"]}
    assert resources["deployments"]["scope"] == "Namespaced"
    assert [each["subresource"] for each in resources["deployments"]["subresources"]] == ["status", "scale"]


def test_openapi_tells_kubectl_how_to_merge_and_that_fields_are_checked(server: ApiServer) -> None:
    index = server.request("GET", "/openapi/v3")[1]["paths"]
    assert {"api/v1", "apis/apps/v1"} < index.keys()
    document = server.request("GET", index["apis/apps/v1"]["serverRelativeURL"])[1]
    patch = document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]
    assert "fieldValidation" in [each["name"] for each in patch["parameters"]]
    containers = document["components"]["schemas"]["V1PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    assert "x-model" not in json.dumps(document)


@pytest.mark.parametrize(
    ("method", "path", "code", "reason"),
    [
        pytest.param("GET", "/apis/nothing.io/v1", 404, "NotFound", id="no such group"),
        pytest.param("GET", "/api/v1/frobs", 404, "NotFound", id="no such resource"),
        pytest.param("GET", "/nowhere", 404, "NotFound", id="no such path"),
        pytest.param("GET", "/api/v1/namespaces/default/pods/a/frob", 404, "NotFound", id="no subresource"),
        pytest.param("POST", "/api/v1/pods", 405, "MethodNotAllowed", id="create without a namespace"),
        pytest.param("DELETE", "/api/v1/pods", 405, "MethodNotAllowed", id="delete everywhere"),
        pytest.param("PUT", "/api/v1/namespaces/default/pods", 405, "MethodNotAllowed", id="put a list"),
        pytest.param("GET", "/api/v1/pods?labelSelector=a%20b", 400, "BadRequest", id="selector"),
        pytest.param("GET", "/api/v1/pods?resourceVersion=x", 400, "BadRequest", id="version"),
        pytest.param("GET", "/api/v1/pods?resourceVersion=999999999", 504, "Timeout", id="from the future"),
        pytest.param(
            "GET",
            "/api/v1/pods?resourceVersion=1&resourceVersionMatch=Exact",
            410,
            "Expired",
            id="from the past",
        ),
    ],
)
def test_what_is_refused_is_a_status(
    server: ApiServer, method: str, path: str, code: int, reason: str
) -> None:
    found_code, found = server.request(method, path, {} if method == "POST" else None)
    assert (found_code, found["kind"], found["code"], found["reason"]) == (code, "Status", code, reason)


def test_bodies_that_cannot_be_read(server: ApiServer, namespace: str) -> None:
    def post(data: str | bytes, kind: str) -> Object:
        answer = requests.post(
            server.url + _maps(namespace), data=data, headers={"Content-Type": kind}, timeout=30
        )
        return dict(answer.json())

    assert post("{", "application/json")["code"] == 400
    assert post("a: [", "application/yaml")["code"] == 400
    assert post("a", "text/csv")["code"] == 415
    assert post(b"k8s", _PROTOBUF)["code"] == 400
    assert post(b"k8s\x00\n\x0c\n\x02v1\x12\x06Gadget", _PROTOBUF)["message"].startswith("Gadget is not read")


def test_a_field_that_is_there_twice_is_refused_when_strict(server: ApiServer, namespace: str) -> None:
    body = '{"metadata": {"name": "a"}, "data": {"x": "1", "x": "2"}}'
    url = server.url + _maps(namespace) + "?fieldValidation=Strict"
    answer = requests.post(url, data=body, headers={"Content-Type": "application/json"}, timeout=30).json()
    assert answer["code"] == 400
    assert answer["message"].endswith('strict decoding error: duplicate field "data.x"')


def test_yaml_is_read_too(server: ApiServer, namespace: str) -> None:
    answer = requests.post(
        server.url + _maps(namespace),
        data="metadata: {name: a}\ndata: {x: y}\n",
        headers={"Content-Type": "application/yaml"},
        timeout=30,
    )
    assert answer.json()["data"] == {"x": "y"}


def test_only_protobuf_is_not_acceptable_but_json_beside_it_is(server: ApiServer) -> None:
    assert server.request("GET", "/api/v1/pods", Accept=_PROTOBUF)[0] == 406
    assert server.request("GET", "/api/v1/pods", Accept=f"{_PROTOBUF},application/json")[0] == 200


def test_lists_are_filtered_by_labels_and_names(server: ApiServer, namespace: str) -> None:
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        _create(server, namespace, name, app=app)
    code, found = server.request("GET", _maps(namespace) + "?labelSelector=app%3Dx")
    assert (code, found["kind"], _names(found)) == (200, "ConfigMapList", ["a", "c"])
    assert _names(server.request("GET", _maps(namespace) + "?fieldSelector=metadata.name%3Db")[1]) == ["b"]


def test_lists_come_in_pages_that_share_their_version(server: ApiServer, namespace: str) -> None:
    for name in "abcde":
        _create(server, namespace, name)
    _, first = server.request("GET", _maps(namespace) + "?limit=2")
    assert (_names(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 3)
    _create(server, namespace, "f")
    token = first["metadata"]["continue"]
    _, second = server.request("GET", _maps(namespace) + f"?limit=9&continue={token}")
    assert _names(second) == ["c", "d", "e", "f"]
    assert second["metadata"] == {"resourceVersion": first["metadata"]["resourceVersion"]}
    assert server.request("GET", _maps(namespace) + "?limit=2&continue=x")[0] == 400


def test_many_are_deleted_by_a_selector(server: ApiServer, namespace: str) -> None:
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        _create(server, namespace, name, app=app)
    code, found = server.request("DELETE", _maps(namespace) + "?labelSelector=app%3Dx")
    assert (code, _names(found)) == (200, ["a", "c"])
    assert _names(server.request("GET", _maps(namespace))[1]) == ["b"]


def test_a_deletion_says_what_is_gone(server: ApiServer, namespace: str) -> None:
    created = _create(server, namespace, "a")
    code, found = server.request("DELETE", _maps(namespace, "a"))
    assert (code, found["status"]) == (200, "Success")
    assert found["details"] == {"name": "a", "kind": "configmaps", "uid": created["metadata"]["uid"]}


def test_a_deletion_can_be_asked_for_dry_in_its_body(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "a")
    assert server.request("DELETE", _maps(namespace, "a"), {"dryRun": ["All"]})[0] == 200
    assert server.request("GET", _maps(namespace, "a"))[0] == 200
    assert server.request("DELETE", _maps(namespace, "a") + "?dryRun=Some")[0] == 422


def test_tables_and_metadata_alone(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "a")
    _, found = server.request("GET", _maps(namespace), Accept=_TABLE)
    assert (found["kind"], found["rows"][0]["cells"][:2]) == ("Table", ["a", 1])
    assert found["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    _, found = server.request("GET", _maps(namespace, "a") + "?includeObject=Object", Accept=_TABLE)
    assert found["rows"][0]["object"]["data"] == {"a": "1"}
    metadata_only = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    _, found = server.request("GET", _maps(namespace), Accept=metadata_only)
    assert found["kind"] == "PartialObjectMetadataList"
    assert "data" not in found["items"][0]


def test_the_scale_path_reads_and_writes_replicas(server: ApiServer, namespace: str) -> None:
    labels = {"app": "web"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod, "replicas": 2}
    root = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    assert server.request("POST", root, {"metadata": {"name": "web"}, "spec": spec})[0] == 201
    _, found = server.request("GET", f"{root}/web/scale")
    assert (found["kind"], found["spec"], found["status"]["selector"]) == (
        "Scale",
        {"replicas": 2},
        "app=web",
    )
    assert server.request("PUT", f"{root}/web/scale", {**found, "spec": {"replicas": 5}})[0] == 200
    stale = {**found, "spec": {"replicas": 7}}
    assert server.request("PUT", f"{root}/web/scale", stale)[0] == 409
    merge = "application/merge-patch+json"
    code, patched = server.request(
        "PATCH", f"{root}/web/scale", {"spec": {"replicas": 3}}, Content_Type=merge
    )
    assert (code, patched["spec"]) == (200, {"replicas": 3})
    assert (
        server.request("PATCH", f"{root}/web/scale", {"spec": {"replicas": -1}}, Content_Type=merge)[0] == 400
    )
    assert server.request("GET", f"{root}/web")[1]["spec"]["replicas"] == 3


def test_patches_are_told_apart_by_their_type(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "a")
    path = _maps(namespace, "a")
    operations = [{"op": "replace", "path": "/data/a", "value": "2"}]
    kind = "application/json-patch+json"
    assert server.request("PATCH", path, operations, Content_Type=kind)[1]["data"] == {"a": "2"}
    code, found = server.request("PATCH", path, {}, Content_Type="application/json")
    assert (code, found["reason"]) == (415, "UnsupportedMediaType")
    apply = "application/apply-patch+yaml"
    code, found = server.request("PATCH", path, {"metadata": {"name": "a"}}, Content_Type=apply)
    assert (code, "fieldManager: Required value" in found["message"]) == (422, True)


def test_everybody_may_do_everything(server: ApiServer) -> None:
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    code, found = server.request("POST", review, {"spec": {"resourceAttributes": {"verb": "get"}}})
    assert (code, found["status"]["allowed"]) == (201, True)
    code, found = server.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert (code, found["status"]["userInfo"]["username"]) == (201, "sandbox-admin")


def test_writes_are_in_the_audit_and_nothing_else(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "a")
    merge = {"Content_Type": "application/merge-patch+json", "User_Agent": "crossfade/1.0 (x)"}
    path = _maps(namespace, "a")
    for value in ("2", "2"):
        server.request("PATCH", path + "?fieldManager=crossfade", {"data": {"a": value}}, **merge)
    server.request("PATCH", path + "?dryRun=All", {"data": {"a": "3"}}, **merge)
    server.request("GET", path)
    server.request("DELETE", path)
    lines = [each for each in server.writes() if each["namespace"] == namespace]
    assert [(each["verb"], each["resource"], each["name"]) for each in lines] == [
        ("create", "configmaps", "a"),
        ("patch", "configmaps", "a"),
        ("delete", "configmaps", "a"),
    ]
    patch = lines[1]
    assert (patch["manager"], patch["userAgent"]) == ("crossfade", "crossfade/1.0 (x)")
    assert patch["object"]["data"] == {"a": "2"}
    assert patch["resourceVersion"] == patch["object"]["metadata"]["resourceVersion"]


def test_requests_are_counted_by_client_verb_and_resource(server: ApiServer, namespace: str) -> None:
    agent = f"counted-{namespace}"

    def counts() -> dict[tuple[str, str], int]:
        found = server.request("GET", "/sandbox/requests")[1]["requests"]
        return {
            (each["verb"], each["resource"]): each["count"] for each in found if each["userAgent"] == agent
        }

    for path in (_maps(namespace), _maps(namespace), _maps(namespace, "none")):
        server.request("GET", path, User_Agent=agent)
    server.request(
        "PATCH", f"/apis/apps/v1/namespaces/{namespace}/deployments/x/status", {}, User_Agent=agent
    )
    assert counts() == {
        ("list", "configmaps"): 2,
        ("get", "configmaps"): 1,
        ("patch", "deployments.apps/status"): 1,
    }
    server.request("DELETE", "/sandbox/requests")
    assert counts() == {}
