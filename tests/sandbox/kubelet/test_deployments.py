"""Deployments roll out without ever having less, and their status reads like Kubernetes' own."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.clock import timestamp
from sandbox.kubelet.deployments import plan, status
from sandbox.kubelet.pods import HASH_LABEL, is_ready, template_hash


Document = dict[str, Any]
NOW = 1_800_000_000.0


def deployment(replicas: int = 1, image: str = "v1", **spec: Any) -> Document:
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "x", "image": image}]}}
    return {
        "metadata": {"name": "x", "namespace": "n", "uid": "u", "generation": 1},
        "spec": {"replicas": replicas, "template": template, **spec},
    }


def pod(of: Document, *, ready: bool = True, born: float = NOW, name: str = "p") -> Document:
    return {
        "metadata": {
            "name": name,
            "labels": {HASH_LABEL: template_hash(of["spec"]["template"])},
            "creationTimestamp": timestamp(born),
        },
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def pods(of: Document, count: int, *, ready: bool = True) -> list[Document]:
    return [pod(of, ready=ready, name=f"p{i}") for i in range(count)]


OLD, NEW = deployment(3, "v1"), deployment(3, "v2")


@pytest.mark.parametrize(
    ("existing", "create", "delete"),
    [
        pytest.param([], 3, 0, id="from nothing all at once"),
        pytest.param(pods(NEW, 3), 0, 0, id="done"),
        pytest.param(pods(NEW, 5), 0, 2, id="scaled down"),
        pytest.param(pods(OLD, 3), 1, 0, id="a rollout begins with one more"),
        pytest.param(pods(OLD, 3) + pods(NEW, 1, ready=False), 0, 0, id="waits for it to be ready"),
        pytest.param(pods(OLD, 3) + pods(NEW, 1), 0, 1, id="then one old one goes"),
        pytest.param(pods(OLD, 2, ready=False) + pods(NEW, 3), 0, 2, id="unready old ones go at once"),
        pytest.param(pods(OLD, 1) + pods(NEW, 3), 0, 1, id="the last old one goes"),
    ],
)
def test_plans(existing: list[Document], create: int, delete: int) -> None:
    made = plan(NEW, existing)
    assert (made.create, len(made.delete)) == (create, delete)


def test_of_too_many_the_unready_and_the_youngest_go_first() -> None:
    wanted = deployment(1)
    old, young, unready = (
        pod(wanted, born=NOW - 9),
        pod(wanted, born=NOW),
        pod(wanted, ready=False, born=NOW - 20),
    )
    assert plan(wanted, [old, young, unready]).delete == [unready, young]


def test_pods_that_are_over_are_replaced() -> None:
    wanted = deployment(1)
    over = pod(wanted)
    over["status"]["phase"] = "Failed"
    made = plan(wanted, [over])
    assert (made.create, made.delete) == (1, [over])


@settings(max_examples=200, deadline=None)
@given(
    before=st.integers(0, 5),
    after=st.integers(0, 5),
    choices=st.lists(st.booleans(), min_size=30, max_size=30),
)
def test_a_rollout_ends_and_never_has_fewer_ready_pods_than_both_sides_want(
    before: int, after: int, choices: list[bool]
) -> None:
    old, new = deployment(before, "v1"), deployment(after, "v2")
    alive = [pod(old, name=f"old{i}") for i in range(before)]
    for step in range(60):
        made = plan(new, alive)
        alive = [p for p in alive if not any(p is gone for gone in made.delete)]
        alive += [pod(new, ready=False, name=f"new{step}.{i}") for i in range(made.create)]
        assert sum(map(is_ready, alive)) >= min(before, after)
        assert len(alive) <= max(before, after + 1)
        for number, candidate in enumerate(alive):  # some become ready now, all of them in the end
            if step >= 30 or choices[(step + number) % 30]:
                candidate["status"]["conditions"][0]["status"] = "True"
    assert len(alive) == after
    assert all(p["metadata"]["name"].startswith("new") for p in alive)


def conditions(document: Document) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in document["status"]["conditions"]}


def seen(of: Document, existing: list[Document], now: float) -> Document:
    return {**of, "status": status(of, existing, now)}


def test_counts_of_zero_are_left_out_as_kubernetes_does() -> None:
    assert status(deployment(2), [], NOW).keys() == {
        "observedGeneration",
        "unavailableReplicas",
        "conditions",
    }


def test_a_finished_rollout_says_so() -> None:
    wanted = deployment(2)
    document = seen(wanted, pods(wanted, 2), NOW)
    assert {k: v for k, v in document["status"].items() if k != "conditions"} == {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    assert conditions(document) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_a_rollout_that_stands_still_exceeds_its_deadline_and_recovers() -> None:
    wanted = deployment(1, progressDeadlineSeconds=10)
    stuck = pods(wanted, 1, ready=False)
    document = seen(wanted, stuck, NOW)
    document = seen(document, stuck, NOW + 10)
    assert conditions(document)["Progressing"] == ("True", "ReplicaSetUpdated")
    document = seen(document, stuck, NOW + 11)
    assert conditions(document)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    document = seen(document, stuck, NOW + 100)
    assert conditions(document)["Progressing"] == ("False", "ProgressDeadlineExceeded")
    document = seen(document, pods(wanted, 1), NOW + 101)
    assert conditions(document)["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_progress_starts_the_deadline_anew() -> None:
    wanted = deployment(2, progressDeadlineSeconds=10)
    document = seen(wanted, pods(wanted, 2, ready=False), NOW)
    halfway = pods(wanted, 1) + pods(wanted, 1, ready=False)
    document = seen(document, halfway, NOW + 9)
    assert conditions(seen(document, halfway, NOW + 18))["Progressing"][0] == "True"
    assert conditions(seen(document, halfway, NOW + 20))["Progressing"][0] == "False"


def test_pods_lost_after_a_finished_rollout_are_no_failed_rollout() -> None:
    wanted = deployment(1, progressDeadlineSeconds=10)
    document = seen(wanted, pods(wanted, 1), NOW)
    document = seen(document, pods(wanted, 1, ready=False), NOW + 100)
    assert conditions(document) == {
        "Available": ("False", "MinimumReplicasUnavailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


def test_a_new_template_makes_a_finished_rollout_progress_again() -> None:
    document = seen(OLD, pods(OLD, 3), NOW)
    document = {**copy.deepcopy(NEW), "status": document["status"]}
    document["metadata"]["generation"] = 2
    assert conditions(seen(document, pods(OLD, 3), NOW + 1))["Progressing"] == ("True", "ReplicaSetUpdated")


def test_an_unchanged_status_is_equal_so_that_nothing_is_written() -> None:
    wanted = deployment(2)
    document = seen(wanted, pods(wanted, 2), NOW)
    assert status(document, pods(wanted, 2), NOW + 50) == document["status"]
