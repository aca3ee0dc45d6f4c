"""Canaries as the API server keeps them: nothing is written over what somebody else wrote."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from config.status import Phase, Status, load_status
from controller.errors import Conflict
from controller.kube.canaries import KubeCanaries, wanted_by
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, Document
from controller.kube.watch import Watched
from controller.ports import ANNOTATION, FINALIZER, CanaryObject, Key


Eventually = Callable[[Callable[[], object]], None]

SPEC = yaml.safe_load(
    """
    workload: {selector: {app: web}}
    upstream: {name: web, namespace: gloo-system}
    routes: [{kind: VirtualService, name: web, namespace: gloo-system}]
    analysis:
      metrics:
        - name: errors
          ratio: {bad: 'bad{version="{{ version }}"}', total: 'all{version="{{ version }}"}'}
          max: 1%
    """
)
ORDER = json.dumps({"do": "abort", "id": "1", "by": "eve", "reason": "why not"})


@pytest.fixture
def key(namespace: str) -> Key:
    return Key(namespace, "web")


@pytest.fixture
def canaries(cluster: Cluster, key: Key, eventually: Eventually) -> KubeCanaries:
    """One Canary, seen by its watch."""
    document = {
        "apiVersion": CANARIES.api_version,
        "kind": "Canary",
        "metadata": {"name": key.name, "annotations": {ANNOTATION: ORDER, "other/one": "stays"}},
        "spec": SPEC,
    }
    cluster.create(CANARIES, key.namespace, document)
    watched = Watched(cluster, CANARIES, key.namespace, index=wanted_by).start()
    canaries = KubeCanaries(cluster, watched)
    eventually(lambda: canaries.get(key))
    watched.stop()  # from here on only our own reads and writes are seen
    return canaries


@pytest.fixture
def canary(canaries: KubeCanaries, key: Key) -> CanaryObject:
    canary = canaries.get(key)
    assert canary is not None
    return canary


def edit(cluster: Cluster, key: Key, patch: Document) -> Document:
    return cluster.patch(CANARIES, *key, patch)


def test_a_canary_is_read_as_it_is_stored(canaries: KubeCanaries, canary: CanaryObject, key: Key) -> None:
    assert canary.key == key
    assert canary.uid
    assert canary.generation == 1
    assert canary.created_at.tzinfo is not None
    assert canary.annotations[ANNOTATION] == ORDER
    assert canary.finalizers == ()
    assert not canary.deleting
    assert canary.spec["workload"]["selector"] == {"app": "web"}
    assert canary.status == {}
    assert canaries.all() == canaries.rivals(canary) == (canary,)
    elsewhere = replace(canary, spec={"workload": {"selector": {"app": "other"}}, "routes": "junk"})
    assert canaries.rivals(elsewhere) == ()
    assert canaries.get(Key(key.namespace, "other")) is None


def test_a_recorded_status_is_stored_and_seen_at_once(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject
) -> None:
    status = Status(phase=Phase.SHIFTING, weight=25, started_at=dt.datetime(2026, 8, 1, tzinfo=dt.UTC))
    recorded = canaries.record(canary, status)
    assert load_status(recorded.status) == status
    assert canaries.get(canary.key) == recorded
    stored = cluster.read(CANARIES, *canary.key)
    assert load_status(stored["status"]) == status
    assert stored["metadata"]["generation"] == 1
    assert stored["metadata"]["annotations"] == canary.annotations
    assert canaries.record(recorded, Status()).resource_version != recorded.resource_version


def test_a_status_is_not_recorded_over_a_change(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject
) -> None:
    edit(cluster, canary.key, {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(Conflict, match=r"update canaries\.crossfade\.dev/status"):
        canaries.record(canary, Status(weight=50))
    refreshed = canaries.refresh(canary.key)
    assert refreshed is not None
    assert refreshed.status == {}
    assert canaries.record(refreshed, Status(weight=50)).status["weight"] == 50


def test_a_status_is_not_recorded_on_another_canary_of_the_name(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject
) -> None:
    cluster.delete(CANARIES, *canary.key, uid=canary.uid)
    with pytest.raises(Conflict):
        canaries.record(canary, Status(weight=50))
    assert canaries.refresh(canary.key) is None
    document = {
        "apiVersion": CANARIES.api_version,
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": SPEC,
    }
    cluster.create(CANARIES, canary.key.namespace, document)
    with pytest.raises(Conflict):
        canaries.record(canary, Status(weight=50))
    assert "status" not in cluster.read(CANARIES, *canary.key)


def test_a_command_is_taken_away_and_nothing_else(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject
) -> None:
    canaries.clear_command(canary, "1")
    stored = cluster.read(CANARIES, *canary.key)
    assert stored["metadata"]["annotations"] == {"other/one": "stays"}
    seen = canaries.get(canary.key)
    assert seen is not None
    assert ANNOTATION not in seen.annotations


def test_a_newer_command_stays(cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject) -> None:
    newer = json.dumps({"do": "promote", "id": "2"})
    edit(cluster, canary.key, {"metadata": {"annotations": {ANNOTATION: newer}}})
    canaries.clear_command(canary, "1")
    assert cluster.read(CANARIES, *canary.key)["metadata"]["annotations"][ANNOTATION] == newer


@pytest.mark.parametrize("command", [None, "{", "[]", '{"do": "abort"}', '{"id": "2"}'])
def test_what_is_not_this_command_is_not_touched(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject, command: str | None
) -> None:
    before = edit(cluster, canary.key, {"metadata": {"annotations": {ANNOTATION: command}}})
    refreshed = canaries.refresh(canary.key)
    assert refreshed is not None
    canaries.clear_command(refreshed, "1")
    assert cluster.read(CANARIES, *canary.key) == before


def test_the_finalizer_comes_and_goes_among_others(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject
) -> None:
    edit(cluster, canary.key, {"metadata": {"finalizers": ["others.example/one"]}})
    refreshed = canaries.refresh(canary.key)
    assert refreshed is not None
    kept = canaries.set_finalizer(refreshed, present=True)
    assert kept.finalizers == ("others.example/one", FINALIZER)
    assert canaries.set_finalizer(kept, present=True) is kept
    cluster.delete(CANARIES, *canary.key, uid=canary.uid)
    deleting = canaries.refresh(canary.key)
    assert deleting is not None
    assert deleting.deleting
    assert canaries.set_finalizer(deleting, present=False).finalizers == ("others.example/one",)
    stored = cluster.read(CANARIES, *canary.key)
    assert stored["metadata"]["finalizers"] == ["others.example/one"]


def test_the_finalizer_is_not_set_over_a_change(
    cluster: Cluster, canaries: KubeCanaries, canary: CanaryObject
) -> None:
    edit(cluster, canary.key, {"metadata": {"finalizers": ["others.example/one"]}})
    with pytest.raises(Conflict):
        canaries.set_finalizer(canary, present=True)
    assert cluster.read(CANARIES, *canary.key)["metadata"]["finalizers"] == ["others.example/one"]
