from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import requests


if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.apiserver.documents import Object
    from sandbox.apiserver.testing import ApiServer


def _maps(namespace: str, name: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps" + (f"/{name}" if name else "")


def _create(server: ApiServer, namespace: str, name: str, **labels: str) -> None:
    body = {"metadata": {"name": name, "labels": labels}}
    assert server.request("POST", _maps(namespace), body)[0] == 201


def _label(server: ApiServer, namespace: str, name: str, **labels: str) -> None:
    kind = "application/merge-patch+json"
    body = {"metadata": {"labels": labels}}
    assert server.request("PATCH", _maps(namespace, name), body, Content_Type=kind)[0] == 200


def _version(server: ApiServer, namespace: str) -> str:
    return str(server.request("GET", _maps(namespace))[1]["metadata"]["resourceVersion"])


@contextlib.contextmanager
def _watch(
    server: ApiServer, path: str, accept: str = "application/json", **asked: str
) -> Iterator[Iterator[Object]]:
    url = server.url + path
    parameters = {"watch": "1", "timeoutSeconds": "60", **asked}
    with requests.get(url, params=parameters, headers={"Accept": accept}, stream=True, timeout=60) as answer:
        assert answer.status_code == 200
        yield (json.loads(line) for line in answer.iter_lines())


def _told(events: Iterator[Object], count: int) -> list[tuple[str, str]]:
    return [
        (each["type"], each["object"]["metadata"]["name"]) for each in (next(events) for _ in range(count))
    ]


def test_a_watch_goes_on_from_where_the_list_ended(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "before")
    version = _version(server, namespace)
    _create(server, namespace, "a")
    with _watch(server, _maps(namespace), resourceVersion=version) as events:
        _label(server, namespace, "a", x="1")
        server.request("DELETE", _maps(namespace, "a"))
        assert _told(events, 3) == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_a_watch_from_nowhere_begins_with_what_there_is(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "a")
    with _watch(server, _maps(namespace)) as events:
        _create(server, namespace, "b")
        assert _told(events, 2) == [("ADDED", "a"), ("ADDED", "b")]


def test_what_no_longer_matches_is_gone_for_the_watcher(server: ApiServer, namespace: str) -> None:
    version = _version(server, namespace)
    with _watch(server, _maps(namespace), resourceVersion=version, labelSelector="on=yes") as events:
        _create(server, namespace, "a", on="yes")
        _create(server, namespace, "b", on="no")
        _label(server, namespace, "a", on="no")
        _label(server, namespace, "b", on="yes")
        _label(server, namespace, "b", other="1")
        assert _told(events, 4) == [("ADDED", "a"), ("DELETED", "a"), ("ADDED", "b"), ("MODIFIED", "b")]


def test_one_object_can_be_watched(server: ApiServer, namespace: str) -> None:
    with _watch(server, _maps(namespace), fieldSelector="metadata.name=b") as events:
        _create(server, namespace, "a")
        _create(server, namespace, "b")
        assert _told(events, 1) == [("ADDED", "b")]


def test_a_watch_over_all_namespaces_sees_each(server: ApiServer, namespace: str) -> None:
    version = _version(server, namespace)
    with _watch(
        server, "/api/v1/configmaps", resourceVersion=version, fieldSelector="metadata.name=all"
    ) as events:
        _create(server, namespace, "all")
        assert next(events)["object"]["metadata"]["namespace"] == namespace


def test_a_watch_ends_when_its_time_is_up_with_a_bookmark(server: ApiServer, namespace: str) -> None:
    asked = {
        "timeoutSeconds": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": _version(server, namespace),
    }
    with _watch(server, _maps(namespace), **asked) as events:
        (bookmark,) = list(events)
    assert (bookmark["type"], bookmark["object"]["kind"]) == ("BOOKMARK", "ConfigMap")
    assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(asked["resourceVersion"])


def test_a_streamed_list_ends_with_its_own_bookmark(server: ApiServer, namespace: str) -> None:
    _create(server, namespace, "a")
    asked = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with _watch(server, _maps(namespace), **asked) as events:
        assert _told(events, 1) == [("ADDED", "a")]
        meta = next(events)["object"]["metadata"]
        assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
        _create(server, namespace, "b")
        assert _told(events, 1) == [("ADDED", "b")]


def test_kubectl_gets_a_row_per_event(server: ApiServer, namespace: str) -> None:
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    with _watch(server, _maps(namespace), accept=accept) as events:
        _create(server, namespace, "a")
        event = next(events)
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "Table")
    assert event["object"]["rows"][0]["cells"][0] == "a"
