"""Events that people see, and that never get in the way."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import structlog

from controller.kube.client import Cluster
from controller.kube.events import LONGEST, KubeEvents
from controller.kube.resources import EVENTS
from controller.ports import CanaryObject, Key
from controller.report import Event


NOW = dt.datetime(2026, 8, 1, 12, 30, 15, 999, tzinfo=dt.UTC)


class FixedClock:
    def now(self) -> dt.datetime:
        return NOW


def canary(namespace: str, name: str = "web") -> CanaryObject:
    return CanaryObject(
        Key(namespace, name),
        "uid-1",
        "42",
        1,
        NOW,
        annotations={},
        finalizers=(),
        deleting=False,
        spec={},
        status={},
    )


def test_an_event_is_about_its_canary(cluster: Cluster, namespace: str) -> None:
    events = KubeEvents(cluster, FixedClock(), "pod-1")
    events.publish(canary(namespace), Event("Warning", "RolledBack", "5.1% bad"))
    events.publish(canary(namespace), Event("Normal", "Idle", "v1 serves"))
    found = {document["reason"]: document for document in cluster.list(EVENTS, namespace).documents}
    assert set(found) == {"RolledBack", "Idle"}
    event = found["RolledBack"]
    about = event["involvedObject"]
    assert (about["kind"], about["namespace"], about["name"], about["uid"]) == (
        "Canary",
        namespace,
        "web",
        "uid-1",
    )
    assert about["apiVersion"] == "crossfade.dev/v1alpha1"
    assert (event["type"], event["message"]) == ("Warning", "5.1% bad")
    assert (event["source"]["component"], event["reportingInstance"]) == ("crossfade", "pod-1")
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-08-01T12:30:15Z"


def test_long_names_and_messages_are_still_accepted(cluster: Cluster, namespace: str) -> None:
    events = KubeEvents(cluster, FixedClock(), "pod-1")
    events.publish(canary(namespace, "w" * 253), Event("Normal", "Idle", "m" * 5000))
    (event,) = cluster.list(EVENTS, namespace).documents
    assert len(event["message"]) == LONGEST
    assert len(event["metadata"]["name"]) <= 253


@pytest.mark.parametrize(
    ("code", "logged"),
    [
        pytest.param(403, 1, id="forbidden is logged"),
        pytest.param(503, 1, id="unavailable is logged"),
        pytest.param(409, 0, id="an answer that was lost is no loss"),
    ],
)
def test_an_event_that_cannot_be_written_stops_nothing(
    scripted: Cluster, play: Callable[..., None], code: int, logged: int
) -> None:
    play({"code": code, "body": {}})
    with structlog.testing.capture_logs() as logs:
        KubeEvents(scripted, FixedClock(), "pod-1").publish(canary("shop"), Event("Normal", "Idle", "m"))
    assert [entry["event"] for entry in logs] == ["event.lost"] * logged


def test_an_event_that_is_sent_again_keeps_its_name(
    scripted: Cluster, play: Callable[..., None], asked: list[dict[str, Any]]
) -> None:
    play({"then": "cut"}, {"body": {}})
    KubeEvents(scripted, FixedClock(), "pod-1").publish(canary("shop"), Event("Normal", "Idle", "m"))
    first, second = asked
    assert first["body"] == second["body"]
