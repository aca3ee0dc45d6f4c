"""Deployments: which are ours, what they run, and that nothing else is ever touched."""

import datetime as dt
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from config.canary import CanarySpec
from config.load import load_spec
from controller.errors import Conflict, NotFound, Unavailable
from controller.kube.client import Cluster
from controller.kube.resources import DEPLOYMENTS, Document
from controller.kube.watch import Watched
from controller.kube.workloads import KubeWorkloads, hash_of, workload_of


Eventually = Callable[[Callable[[], object]], None]

SPEC: CanarySpec = load_spec(
    {
        "workload": {"selector": {"app": "web"}},
        "upstream": {"name": "web", "namespace": "gloo-system"},
        "routes": [{"name": "web", "namespace": "gloo-system"}],
        "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
    }
)


def deployment(name: str = "web-v1", image: str = "web:1", **labels: str) -> Document:
    labels = {"app": "web", "version": "v1"} | labels
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": labels["app"], "unique": name}},
            "template": {
                "metadata": {"labels": {**labels, "unique": name}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    }


def stored(generation: int = 1, **status: int) -> Document:
    document = deployment()
    document["metadata"] |= {"generation": generation, "creationTimestamp": "2026-08-01T12:00:00Z"}
    return {**document, "status": status}


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        pytest.param({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 3}, 3, id="all"),
        pytest.param({"replicas": 3, "updatedReplicas": 3, "readyReplicas": 2}, 2, id="two of three"),
        pytest.param({}, 0, id="none yet"),
        pytest.param(
            {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 3}, 0, id="the ready ones may all be old"
        ),
        pytest.param(
            {"replicas": 4, "updatedReplicas": 2, "readyReplicas": 3}, 1, id="one of the ready ones is new"
        ),
        pytest.param(
            {"replicas": 1, "updatedReplicas": 2, "readyReplicas": 1}, 1, id="numbers that contradict"
        ),
    ],
)
def test_ready_pods_are_those_that_certainly_run_this_template(status: dict[str, int], ready: int) -> None:
    assert workload_of(stored(**status), "v1").ready == ready


@pytest.mark.parametrize(
    ("document", "counted"),
    [
        pytest.param(stored(2, observedGeneration=2, readyReplicas=3), 1, id="the numbers are of now"),
        pytest.param(stored(2, observedGeneration=1, readyReplicas=3), 0, id="changed since"),
        pytest.param(stored(), 0, id="nobody has counted yet"),
    ],
)
def test_numbers_from_before_a_change_are_told_as_such(document: Document, counted: int) -> None:
    workload = workload_of(document, "v1")
    assert workload.counted == counted
    assert workload.ready == document["status"].get("readyReplicas", 0)


def test_a_deployment_is_read_with_its_defaults() -> None:
    document = stored()
    del document["spec"]["replicas"]
    workload = workload_of(document, "v1")
    assert (workload.name, workload.version, workload.wanted) == ("web-v1", "v1", 1)
    assert workload.created_at == dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)


def test_the_hash_is_of_the_content_not_of_its_order() -> None:
    keys = ["a", "b", "c"]
    hashes = {
        hash_of({key: {"é": 1, "x": [1, 2]} for key in order}) for order in itertools.permutations(keys)
    }
    assert len(hashes) == 1
    assert hashes != {hash_of({key: {"é": 1, "x": [2, 1]} for key in keys})}


def test_the_hash_never_changes_between_releases() -> None:
    """A changed hash would start every rollout anew: this is a promise to those who upgrade."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "web:1"}]}}
    assert hash_of(template) == "ea1e0b8cadf5127b"


class Neighbourhood:
    """The Deployments of a test's namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.watched = Watched(cluster, DEPLOYMENTS, namespace)
        self.workloads = KubeWorkloads(cluster, self.watched)

    def create(self, *documents: Document) -> None:
        for document in documents:
            self.cluster.create(DEPLOYMENTS, self.namespace, document)

    def look(self) -> None:
        """See what there is now; what happens later is not seen."""
        self.watched._list()

    def found(self) -> list[tuple[str, str]]:
        return [(each.name, each.version) for each in self.workloads.find(self.namespace, SPEC)]

    def hash(self, name: str) -> str:
        return next(each.hash for each in self.workloads.find(self.namespace, SPEC) if each.name == name)

    def replicas(self, name: str) -> Any:  # JSON
        return self.cluster.read(DEPLOYMENTS, self.namespace, name)["spec"]["replicas"]

    def edit(self, name: str, patch: Document) -> None:
        self.cluster.patch(DEPLOYMENTS, self.namespace, name, patch)


@pytest.fixture
def there(cluster: Cluster, namespace: str) -> Neighbourhood:
    return Neighbourhood(cluster, namespace)


RESTARTED = {"spec": {"template": {"metadata": {"annotations": {"restarted": "now"}}}}}


def test_what_was_not_listed_yet_does_not_look_like_nothing(there: Neighbourhood) -> None:
    with pytest.raises(Unavailable, match=r"deployments\.apps: not listed yet"):
        there.found()


def test_the_pods_labels_decide_which_deployments_are_ours(there: Neighbourhood) -> None:
    there.create(
        deployment("web-v2", version="v2", tier="front"),
        deployment("web-v1"),
        deployment("shop-v1", app="shop"),
    )
    there.look()
    assert there.found() == [("web-v1", "v1"), ("web-v2", "v2")]
    assert there.workloads.find("elsewhere", SPEC) == ()


def test_a_deployment_that_is_being_deleted_is_gone(there: Neighbourhood) -> None:
    held = deployment()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    there.create(held)
    there.look()
    uid = there.watched.all()[0]["metadata"]["uid"]
    there.cluster.delete(DEPLOYMENTS, there.namespace, "web-v1", uid=uid)
    there.look()
    assert there.found() == []


def test_a_deployment_without_a_version_is_skipped_and_reported_once(there: Neighbourhood) -> None:
    nameless = deployment()
    del nameless["spec"]["template"]["metadata"]["labels"]["version"]
    there.create(nameless)
    there.look()
    with structlog.testing.capture_logs() as logs:
        assert there.found() == []
        assert there.found() == []
    assert logs == [
        {
            "event": "workload.versionless",
            "log_level": "warning",
            "deployment": f"{there.namespace}/web-v1",
            "lacks": "spec.template.metadata.labels['version']",
        }
    ]


def test_scaling_does_not_change_the_hash(there: Neighbourhood) -> None:
    there.create(deployment())
    there.look()
    before = there.hash("web-v1")
    there.edit("web-v1", {"spec": {"replicas": 7}})
    there.look()
    assert there.hash("web-v1") == before
    there.edit("web-v1", RESTARTED)
    there.look()
    assert there.hash("web-v1") != before


def test_scaling_to_zero_is_seen_at_once_and_done_once(there: Neighbourhood) -> None:
    there.create(deployment())
    there.look()
    for _ in range(2):
        there.workloads.scale_to_zero(there.namespace, "web-v1", there.hash("web-v1"))
    assert there.replicas("web-v1") == 0
    assert there.workloads.find(there.namespace, SPEC)[0].wanted == 0
    stored = there.cluster.read(DEPLOYMENTS, there.namespace, "web-v1")
    assert stored["metadata"]["generation"] == 2


def test_what_was_scaled_by_others_is_scaled_down_once_that_is_seen(there: Neighbourhood) -> None:
    there.create(deployment())
    there.look()
    there.edit("web-v1", {"spec": {"replicas": 7}})
    with pytest.raises(Conflict):
        there.workloads.scale_to_zero(there.namespace, "web-v1", there.hash("web-v1"))
    assert there.replicas("web-v1") == 7
    there.look()
    there.workloads.scale_to_zero(there.namespace, "web-v1", there.hash("web-v1"))
    assert there.replicas("web-v1") == 0


def test_a_version_that_is_in_use_again_is_not_scaled_down_by_an_old_decision(there: Neighbourhood) -> None:
    """Frozen between its decision and its request: meanwhile it was scaled down, and back to serve."""
    there.create(deployment())
    there.look()
    for replicas in (0, 3):
        there.edit("web-v1", {"spec": {"replicas": replicas}})
    with pytest.raises(Conflict):
        there.workloads.scale_to_zero(there.namespace, "web-v1", there.hash("web-v1"))
    assert there.replicas("web-v1") == 3


def test_what_is_no_part_of_its_spec_may_change_meanwhile(there: Neighbourhood) -> None:
    there.create(deployment())
    there.look()
    there.cluster.patch(DEPLOYMENTS, there.namespace, "web-v1", {"metadata": {"labels": {"seen": "yes"}}})
    there.workloads.scale_to_zero(there.namespace, "web-v1", there.hash("web-v1"))
    assert there.replicas("web-v1") == 0


def scale(there: Neighbourhood, template_hash: str) -> None:
    there.workloads.scale_to_zero(there.namespace, "web-v1", template_hash)


def delete(there: Neighbourhood, template_hash: str) -> None:
    there.workloads.delete(there.namespace, "web-v1", template_hash)


both = pytest.mark.parametrize("retire", [scale, delete])


@both
def test_what_runs_something_else_is_not_touched(
    there: Neighbourhood, retire: Callable[[Neighbourhood, str], None]
) -> None:
    there.create(deployment())
    there.look()
    before = there.hash("web-v1")
    there.edit("web-v1", RESTARTED)
    there.look()
    retire(there, before)
    assert there.replicas("web-v1") == 3


@both
def test_what_begins_to_run_something_else_at_this_moment_is_not_touched(
    there: Neighbourhood, retire: Callable[[Neighbourhood, str], None]
) -> None:
    there.create(deployment())
    there.look()
    there.edit("web-v1", RESTARTED)
    with pytest.raises(Conflict):
        retire(there, there.hash("web-v1"))
    assert there.replicas("web-v1") == 3


@both
def test_what_is_gone_is_done(there: Neighbourhood, retire: Callable[[Neighbourhood, str], None]) -> None:
    there.create(deployment())
    there.look()
    uid = there.watched.all()[0]["metadata"]["uid"]
    there.cluster.delete(DEPLOYMENTS, there.namespace, "web-v1", uid=uid)
    retire(there, there.hash("web-v1"))
    there.look()
    retire(there, "of what is gone")


def test_a_deletion_takes_the_very_deployment(there: Neighbourhood) -> None:
    there.create(deployment(), deployment("web-v2", version="v2"))
    there.look()
    delete(there, there.hash("web-v1"))
    with pytest.raises(NotFound):
        there.replicas("web-v1")
    assert there.replicas("web-v2") == 3
