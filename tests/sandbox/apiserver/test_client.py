"""The official Python client, as the controller and the stand-ins use it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import kubernetes
import pytest
from kubernetes.client.exceptions import ApiException


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.testing import ApiServer


_KUBERNETES: Any = kubernetes  # its types do not know that it takes plain dictionaries
_CLIENT = _KUBERNETES.client
_SECONDS = 60


@pytest.fixture(scope="module")
def client(server: ApiServer) -> Iterator[Any]:
    with _KUBERNETES.config.new_client_from_config(str(server.kubeconfig)) as found:
        found.user_agent = "python-client/1.0"
        yield found


@pytest.fixture
def core(client: Any) -> Any:  # the client ships no types
    return _CLIENT.CoreV1Api(client)


@pytest.fixture
def apps(client: Any) -> Any:  # the client ships no types
    return _CLIENT.AppsV1Api(client)


def _deployment(name: str = "web") -> dict[str, Any]:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": pod},
    }


def test_typed_objects_make_the_round_trip(apps: Any, namespace: str) -> None:
    created = apps.create_namespaced_deployment(namespace, _deployment(), _request_timeout=_SECONDS)
    assert (created.spec.replicas, created.metadata.generation) == (1, 1)
    created.spec.replicas = 3
    replaced = apps.replace_namespaced_deployment("web", namespace, created, _request_timeout=_SECONDS)
    assert (replaced.spec.replicas, replaced.metadata.generation) == (3, 2)
    with pytest.raises(ApiException) as caught:
        apps.replace_namespaced_deployment("web", namespace, created, _request_timeout=_SECONDS)
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")
    listed = apps.list_namespaced_deployment(namespace, _request_timeout=_SECONDS)
    assert [each.metadata.name for each in listed.items] == ["web"]
    apps.delete_namespaced_deployment("web", namespace, _request_timeout=_SECONDS)
    with pytest.raises(ApiException) as caught:
        apps.read_namespaced_deployment("web", namespace, _request_timeout=_SECONDS)
    assert caught.value.status == 404


def test_status_and_scale(apps: Any, namespace: str) -> None:
    apps.create_namespaced_deployment(namespace, _deployment(), _request_timeout=_SECONDS)
    status = {"status": {"replicas": 1, "readyReplicas": 1}}
    apps.patch_namespaced_deployment_status("web", namespace, status, _request_timeout=_SECONDS)
    apps.patch_namespaced_deployment_scale(
        "web", namespace, {"spec": {"replicas": 2}}, _request_timeout=_SECONDS
    )
    found = apps.read_namespaced_deployment("web", namespace, _request_timeout=_SECONDS)
    assert (found.spec.replicas, found.status.ready_replicas) == (2, 1)


def test_watch_follows_a_list(core: Any, namespace: str) -> None:
    listed = core.list_namespaced_config_map(namespace, _request_timeout=_SECONDS)
    version = listed.metadata.resource_version

    def change() -> None:
        core.create_namespaced_config_map(namespace, {"metadata": {"name": "a"}}, _request_timeout=_SECONDS)
        body = {"data": {"x": "1"}}
        core.patch_namespaced_config_map("a", namespace, body, _request_timeout=_SECONDS)
        core.delete_namespaced_config_map("a", namespace, _request_timeout=_SECONDS)

    changing = threading.Thread(target=change)
    changing.start()
    watch, seen = _KUBERNETES.watch.Watch(), []
    for event in watch.stream(
        core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=_SECONDS
    ):
        seen.append((event["type"], event["object"].metadata.name))
        if event["type"] == "DELETED":
            watch.stop()
    changing.join()
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_custom_objects_and_field_managers(client: Any, namespace: str) -> None:
    extensions = _CLIENT.ApiextensionsV1Api(client)
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "rails", "kind": "Rail"}
    spec = {"group": "client.example.io", "scope": "Namespaced", "names": names, "versions": [version]}
    body = {"metadata": {"name": "rails.client.example.io"}, "spec": spec}
    extensions.create_custom_resource_definition(body, _request_timeout=_SECONDS)
    custom = _CLIENT.CustomObjectsApi(client)
    place = ("client.example.io", "v1", namespace, "rails")
    rail = {
        "apiVersion": "client.example.io/v1",
        "kind": "Rail",
        "metadata": {"name": "a"},
        "spec": {"gauge": 1435},
    }
    custom.create_namespaced_custom_object(*place, rail, _request_timeout=_SECONDS)
    patch = [
        {"op": "test", "path": "/spec/gauge", "value": 1435},
        {"op": "replace", "path": "/spec/gauge", "value": 1000},
    ]
    found = custom.patch_namespaced_custom_object(
        *place,
        "a",
        patch,
        field_manager="crossfade",
        _content_type="application/json-patch+json",
        _request_timeout=_SECONDS,
    )
    assert (found["spec"], found["metadata"]["generation"]) == ({"gauge": 1000}, 2)
    with pytest.raises(ApiException) as caught:
        custom.patch_namespaced_custom_object(
            *place, "a", patch, _content_type="application/json-patch+json", _request_timeout=_SECONDS
        )
    assert caught.value.status == 422


def test_a_lease_is_taken_by_one_of_two(client: Any, namespace: str) -> None:
    leases = _CLIENT.CoordinationV1Api(client)
    leases.create_namespaced_lease(
        namespace, {"metadata": {"name": "a"}, "spec": {}}, _request_timeout=_SECONDS
    )
    one = leases.read_namespaced_lease("a", namespace, _request_timeout=_SECONDS)
    two = leases.read_namespaced_lease("a", namespace, _request_timeout=_SECONDS)
    one.spec.holder_identity, two.spec.holder_identity = "one", "two"
    leases.replace_namespaced_lease("a", namespace, one, _request_timeout=_SECONDS)
    with pytest.raises(ApiException) as caught:
        leases.replace_namespaced_lease("a", namespace, two, _request_timeout=_SECONDS)
    assert caught.value.status == 409
    found = leases.read_namespaced_lease("a", namespace, _request_timeout=_SECONDS)
    assert found.spec.holder_identity == "one"
