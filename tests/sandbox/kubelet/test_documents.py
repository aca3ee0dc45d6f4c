"""Pods, Jobs, Services and scrape targets: what is written for what is seen."""

import json
from typing import Any

import pytest

from sandbox.kube import DEPLOYMENTS, merge_patch
from sandbox.kubelet import jobs
from sandbox.kubelet.addresses import Addresses
from sandbox.kubelet.containers import command, environment
from sandbox.kubelet.pods import Exit, Life, owned, pod_of, port_of, status_of
from sandbox.kubelet.services import endpoint_slice
from sandbox.kubelet.targets import targets


Document = dict[str, Any]
NOW = 1_800_000_000.0
ALIVE = Life(address="127.1.1.1", begun=NOW, since=NOW, waiting="", ready=True)


def pod(name: str = "p", **container: Any) -> Document:
    spec = {"containers": [{"name": "c", "image": "any", "ports": [{"containerPort": 8080}], **container}]}
    labels = {"app": "x", "version": "v1"}
    return {"metadata": {"name": name, "namespace": "n", "uid": f"u-{name}", "labels": labels}, "spec": spec}


def running(document: Document, life: Life = ALIVE) -> Document:
    return {**document, "status": status_of(document, life, NOW)}


def test_a_pod_is_its_template_with_an_owner_and_a_node() -> None:
    owner = {"metadata": {"name": "d", "namespace": "n", "uid": "u"}}
    template = {"metadata": {"labels": {"app": "x"}, "annotations": {"a": "b"}}, "spec": {"containers": []}}
    made = pod_of(owner, DEPLOYMENTS, template, {"pod-template-hash": "123"})
    assert made["metadata"]["generateName"] == "d-123-"
    assert made["metadata"]["labels"] == {"app": "x", "pod-template-hash": "123"}
    assert made["metadata"]["annotations"] == {"a": "b"}
    assert made["spec"]["nodeName"]
    assert owned([made], owner) == [made]


@pytest.mark.parametrize(
    ("life", "phase", "state", "ready"),
    [
        pytest.param(
            Life("a", NOW), "Pending", {"waiting": {"reason": "ContainerCreating"}}, "False", id="new"
        ),
        pytest.param(
            ALIVE, "Running", {"running": {"startedAt": "2027-01-15T08:00:00Z"}}, "True", id="ready"
        ),
        pytest.param(
            ALIVE.exited(Exit(1, NOW, NOW), over=False),
            "Running",
            {"waiting": {"reason": "CrashLoopBackOff"}},
            "False",
            id="crashed",
        ),
        pytest.param(
            ALIVE.exited(Exit(0, NOW, NOW), over=True),
            "Succeeded",
            {"terminated": Exit(0, NOW, NOW).document()},
            "False",
            id="succeeded",
        ),
        pytest.param(
            ALIVE.exited(Exit(3, NOW, NOW), over=True),
            "Failed",
            {"terminated": Exit(3, NOW, NOW).document()},
            "False",
            id="failed",
        ),
    ],
)
def test_a_pods_status_tells_its_life(life: Life, phase: str, state: Document, ready: str) -> None:
    status = running(pod(), life)["status"]
    assert status["phase"] == phase
    assert status["containerStatuses"][0]["state"] == state
    assert {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == ready


def test_what_crashed_last_is_kept_with_its_code() -> None:
    status = running(pod(), ALIVE.exited(Exit(137, NOW, NOW), over=False))["status"]
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


def test_conditions_keep_their_time_until_they_turn() -> None:
    first = running(pod())
    later = status_of(first, ALIVE, NOW + 60)
    assert later == first["status"]
    turned = status_of(first, ALIVE.exited(Exit(1, NOW, NOW), over=False), NOW + 60)
    times = {c["type"]: c["lastTransitionTime"] for c in turned["conditions"]}
    assert times["Ready"] == "2027-01-15T08:01:00Z"
    assert times["PodScheduled"] == "2027-01-15T08:00:00Z"


SERVICE: Document = {
    "metadata": {"name": "s", "namespace": "n", "uid": "us"},
    "spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def slice_of(*pods: Document, **spec: Any) -> Document | None:
    return endpoint_slice({**SERVICE, "spec": {**SERVICE["spec"], **spec}}, pods)


def test_a_slice_has_the_pods_that_are_selected_ready_or_not() -> None:
    unready = running(pod("b"), ALIVE.exited(Exit(1, NOW, NOW), over=False))
    other = running(pod("c"))
    other["metadata"]["labels"] = {"app": "y"}
    made = slice_of(running(pod("a")), unready, other, pod("d"))
    assert made is not None
    seen = [(e["targetRef"]["name"], e["conditions"]["ready"]) for e in made["endpoints"]]
    assert seen == [("a", True), ("b", False)]
    assert made["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]


def test_a_slice_names_its_pods_because_loopback_addresses_are_refused() -> None:
    made = slice_of(running(pod("a")))
    assert made is not None
    address = ALIVE.address.replace(".", "-")
    assert made["addressType"] == "FQDN"
    assert made["endpoints"][0]["addresses"] == [f"{address}.n.pod.cluster.local"]


def test_a_pod_on_its_way_out_is_not_ready_at_once() -> None:
    leaving = running(pod("a"))
    leaving["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z"
    made = slice_of(leaving)
    assert made is not None
    assert made["endpoints"][0]["conditions"] == {"ready": False, "serving": True, "terminating": True}


def test_named_ports_are_looked_up_in_the_pods() -> None:
    named = running(pod("a", ports=[{"name": "http", "containerPort": 9000}]))
    made = slice_of(named, ports=[{"name": "web", "port": 80, "targetPort": "http"}])
    assert made is not None
    assert made["ports"] == [{"name": "web", "port": 9000, "protocol": "TCP"}]


@pytest.mark.parametrize("spec", [{"selector": {}}, {"type": "ExternalName"}])
def test_services_that_select_nothing_have_no_slice(spec: Document) -> None:
    assert slice_of(running(pod()), **spec) is None


@pytest.mark.parametrize(
    ("image", "annotations", "scraped"),
    [
        ("crossfade/demo-app", {}, True),
        ("docker.io/crossfade/demo-app:2", {}, True),
        ("crossfade/demo-app", {"prometheus.io/scrape": "false"}, False),
        ("hashicorp/http-echo", {}, False),
        ("hashicorp/http-echo", {"prometheus.io/scrape": "true"}, True),
    ],
)
def test_scraped_are_our_own_image_and_annotated_pods(
    image: str, annotations: Document, *, scraped: bool
) -> None:
    document = running(pod("a", image=image))
    document["metadata"]["annotations"] = annotations
    labels = {"namespace": "n", "pod": "a", "app": "x", "version": "v1"}
    expected = [{"targets": ["127.1.1.1:8080"], "labels": labels}] if scraped else []
    assert json.loads(targets([document])) == expected


def test_pods_that_do_not_run_or_have_no_port_are_not_scraped() -> None:
    own = "crossfade/demo-app"
    assert targets([pod(image=own), running(pod(image=own, ports=[]))]) == "[]"


def job(**spec: Any) -> Document:
    return {"metadata": {"name": "j"}, "spec": spec}


def phases(*names: str) -> list[Document]:
    return [{"status": {"phase": name}} for name in names]


@pytest.mark.parametrize(
    ("spec", "pods", "create", "outcome"),
    [
        pytest.param({}, phases(), 1, None, id="new"),
        pytest.param({}, phases("Running"), 0, None, id="running"),
        pytest.param({}, phases("Succeeded"), 0, "Complete", id="succeeded"),
        pytest.param({}, phases("Failed"), 1, None, id="tried again"),
        pytest.param({"backoffLimit": 1}, phases("Failed"), 1, None, id="failed as often as it may"),
        pytest.param({"backoffLimit": 1}, phases("Failed", "Failed"), 0, "Failed", id="failed too often"),
        pytest.param({"completions": 3, "parallelism": 2}, phases("Succeeded"), 2, None, id="in parallel"),
    ],
)
def test_jobs_run_until_done_or_failed(
    spec: Document, pods: list[Document], create: int, outcome: str | None
) -> None:
    assert jobs.to_create(job(**spec), pods) == create
    document = {**job(**spec), "status": jobs.status(job(**spec), pods, NOW)}
    assert [c["type"] for c in document["status"].get("conditions", [])][1:] == ([outcome] if outcome else [])
    assert jobs.finished(document) == (outcome is not None)
    if outcome:
        assert jobs.status(document, [], NOW + 9) == document["status"]
        assert jobs.to_create(document, []) == 0


def test_a_containers_own_command_is_run_and_any_image_is_the_application() -> None:
    assert command(pod(command=["sh", "-c"], args=["exit 0"])) == ["sh", "-c", "exit 0"]
    assert command(pod(args=["-text=hi"]))[-2:] == [command(pod())[-1], "-text=hi"]


def test_the_environment_has_the_pods_own_fields() -> None:
    given = [
        {"name": "PLAIN", "value": "1"},
        {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['version']"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    variables = environment(pod(env=given), "127.1.1.1")
    assert (variables["PLAIN"], variables["LABEL"], variables["SECRET"]) == ("1", "v1", "")
    assert json.loads(variables["POD_LABELS"])["version"] == "v1"
    assert (variables["POD_IP"], variables["POD_PORT"]) == ("127.1.1.1", "8080")


@pytest.mark.parametrize(("wanted", "port"), [(None, 1), ("two", 2), ("three", None), (7, 7)])
def test_ports_are_found_by_name_or_number(wanted: str | int | None, port: int | None) -> None:
    ports = [{"name": "one", "containerPort": 1}, {"name": "two", "containerPort": 2}]
    assert port_of(pod(ports=ports), wanted) == port


def test_addresses_are_not_used_again_at_once_and_run_out() -> None:
    pool = Addresses("127.200.1.0/29")
    first = pool.take([])
    pool.give_back(first)
    others = [pool.take([]) for _ in range(5)]
    assert first not in others
    assert pool.take([], wanted=first) == first
    with pytest.raises(LookupError):
        pool.take([])


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}),
        ({"a": None, "b": [{"c": 1, "d": None}]}, {"b": [{"c": 1}]}, {}),  # as API servers tell no time
    ],
)
def test_merge_patches_say_only_what_differs(old: Document, new: Document, patch: Document) -> None:
    assert merge_patch(old, new) == patch
