from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandbox.apiserver.admission import Options
from sandbox.apiserver.api import MERGE, Api, Deletion, Target
from sandbox.apiserver.collector import Collector


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Json, Object


_OPTIONS = Options(manager="tester")
_MAPS = ("", "configmaps")


def _target(api: Api, name: str = "", plural: str = "configmaps", namespace: str = "default") -> Target:
    resource = api.register.find("", "v1", plural)
    assert resource is not None
    return Target(resource, namespace if resource.namespaced else "", name)


def _create(api: Api, name: str, *owners: Object, namespace: str = "default", **metadata: Json) -> Object:
    references = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": each["metadata"]["name"],
            "uid": each["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for each in owners
    ]
    body = {"metadata": {"name": name, **metadata, **({"ownerReferences": references} if references else {})}}
    return api.create(_target(api, namespace=namespace), body, _OPTIONS)


def _names(api: Api) -> list[str]:
    return [each["metadata"]["name"] for each in api.store.objects(*_MAPS)]


def _settle(api: Api, collector: Collector) -> None:
    """Collect until there is nothing more to do, as the server's loop would."""
    version = -1
    while version != api.store.version:
        version = api.store.version
        collector.collect()


@pytest.fixture
def collector(api: Api) -> Collector:
    return Collector(api)


def test_what_an_object_owned_goes_with_it_and_what_that_owned_too(api: Api, collector: Collector) -> None:
    owner = _create(api, "owner")
    child = _create(api, "child", owner)
    _create(api, "grandchild", child)
    _create(api, "stranger")
    _settle(api, collector)
    assert len(_names(api)) == 4
    api.delete(_target(api, "owner"), Deletion(), _OPTIONS)
    _settle(api, collector)
    assert _names(api) == ["stranger"]


def test_what_has_two_owners_stays_with_the_second(api: Api, collector: Collector) -> None:
    _create(api, "child", _create(api, "one"), _create(api, "two"))
    api.delete(_target(api, "one"), Deletion(), _OPTIONS)
    _settle(api, collector)
    assert _names(api) == ["child", "two"]


def test_an_owner_of_the_same_name_is_not_the_owner(api: Api, collector: Collector) -> None:
    owner = _create(api, "owner")
    _create(api, "child", owner)
    api.delete(_target(api, "owner"), Deletion(), _OPTIONS)
    _create(api, "owner")
    _settle(api, collector)
    assert _names(api) == ["owner"]


def test_orphans_stay_and_forget_their_owner(api: Api, collector: Collector) -> None:
    _create(api, "child", _create(api, "owner"))
    api.delete(_target(api, "owner"), Deletion("Orphan"), _OPTIONS)
    _settle(api, collector)
    assert _names(api) == ["child"]
    assert "ownerReferences" not in api.get(_target(api, "child"))["metadata"]


def test_in_the_foreground_the_owner_goes_last(api: Api, collector: Collector) -> None:
    _create(api, "child", _create(api, "owner"), finalizers=["example.io/mine"])
    found, gone = api.delete(_target(api, "owner"), Deletion("Foreground"), _OPTIONS)
    assert (gone, found["metadata"]["finalizers"]) == (False, ["foregroundDeletion"])
    _settle(api, collector)
    assert _names(api) == ["child", "owner"]
    api.patch(_target(api, "child"), MERGE, {"metadata": {"finalizers": None}}, _OPTIONS)
    _settle(api, collector)
    assert _names(api) == []


def test_a_namespace_goes_after_its_contents(api: Api, collector: Collector) -> None:
    api.create(_target(api, plural="namespaces"), {"metadata": {"name": "away"}}, _OPTIONS)
    _create(api, "inside", namespace="away", finalizers=["example.io/mine"])
    _create(api, "outside")
    found, gone = api.delete(_target(api, "away", "namespaces"), Deletion(), _OPTIONS)
    assert (gone, found["status"]["phase"]) == (False, "Terminating")
    _settle(api, collector)
    assert _names(api) == ["inside", "outside"]
    with pytest.raises(Exception, match="because it is being terminated"):
        _create(api, "late", namespace="away")
    inside = _target(api, "inside", namespace="away")
    api.patch(inside, MERGE, {"metadata": {"finalizers": None}}, _OPTIONS)
    _settle(api, collector)
    assert _names(api) == ["outside"]
    assert [each["metadata"]["name"] for each in api.store.objects("", "namespaces")] == [
        "default",
        "kube-node-lease",
        "kube-public",
        "kube-system",
    ]


def test_a_definition_goes_after_its_objects(api: Api, collector: Collector) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "roads", "kind": "Road"}
    spec = {"group": "example.io", "scope": "Cluster", "names": names, "versions": [version]}
    definitions = api.register.find("apiextensions.k8s.io", "v1", "customresourcedefinitions")
    assert definitions is not None
    body = {"metadata": {"name": "roads.example.io"}, "spec": spec}
    api.create(Target(definitions, "", ""), body, _OPTIONS)
    roads = api.register.find("example.io", "v1", "roads")
    assert roads is not None
    api.create(Target(roads, "", ""), {"metadata": {"name": "main"}}, _OPTIONS)
    api.delete(Target(definitions, "", "roads.example.io"), Deletion(), _OPTIONS)
    _settle(api, collector)
    assert api.store.objects("example.io", "roads") == []
    assert api.register.find("example.io", "v1", "roads") is None


def test_the_running_collector_needs_nobody_to_call_it(api: Api) -> None:
    async def run() -> None:
        _create(api, "child", _create(api, "owner"))
        working = asyncio.create_task(Collector(api).run())
        await asyncio.sleep(0)
        api.delete(_target(api, "owner"), Deletion(), _OPTIONS)
        for _ in range(10):
            await asyncio.sleep(0)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(run())
    assert _names(api) == []
