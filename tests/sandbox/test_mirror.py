"""The mirror shows what the API server holds, whatever order news arrive in."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

from sandbox.kube import PODS, Document, ExpiredError, Kube, Resource
from sandbox.mirror import Mirror
from sandbox.process import wait_until


class FakeKube(Kube):
    """Lists what `items` holds, and tells the events that a test puts into `events`."""

    def __init__(self) -> None:
        self.items: list[Document] = []
        self.version = "1"
        self.events: queue.Queue[tuple[str, Document] | Exception] = queue.Queue()
        self.watched_from: list[str] = []

    def list(self, resource: Resource) -> tuple[list[Document], str]:
        return list(self.items), self.version

    def watch(self, resource: Resource, version: str) -> Iterator[tuple[str, Document]]:
        self.watched_from.append(version)
        while True:
            event = self.events.get()
            if isinstance(event, StopIteration):
                return
            if isinstance(event, Exception):
                raise event
            yield event


def pod(version: int, name: str = "p") -> Document:
    return {"metadata": {"namespace": "n", "name": name, "resourceVersion": str(version)}}


def versions(mirror: Mirror) -> dict[str, str]:
    return {name: doc["metadata"]["resourceVersion"] for (_, name), doc in mirror.objects(PODS).items()}


def started(kube: FakeKube) -> tuple[Mirror, threading.Event]:
    changed = threading.Event()
    mirror = Mirror(kube, [PODS], changed.set)
    mirror.start()
    assert wait_until(lambda: mirror.complete, 5)
    return mirror, changed


def test_events_follow_the_list() -> None:
    kube = FakeKube()
    kube.items = [pod(1, "old")]
    mirror, changed = started(kube)
    kube.events.put(("ADDED", pod(2, "new")))
    kube.events.put(("DELETED", pod(3, "old")))
    assert wait_until(lambda: versions(mirror) == {"new": "2"}, 5)
    assert changed.is_set()


def test_a_write_of_ours_is_seen_ahead_of_the_watch_and_not_undone_by_older_news() -> None:
    kube = FakeKube()
    mirror, _ = started(kube)
    mirror.put(PODS, pod(9))
    kube.events.put(("MODIFIED", pod(8)))
    kube.events.put(("ADDED", pod(10, "later")))
    assert wait_until(lambda: "later" in versions(mirror), 5)
    assert versions(mirror) == {"p": "9", "later": "10"}


def test_an_answer_that_comes_after_the_deletion_brings_nothing_back() -> None:
    kube = FakeKube()
    kube.items = [pod(1)]
    mirror, _ = started(kube)
    kube.events.put(("DELETED", pod(5)))
    assert wait_until(lambda: versions(mirror) == {}, 5)
    mirror.put(PODS, pod(4))
    assert versions(mirror) == {}
    mirror.put(PODS, pod(6))
    assert versions(mirror) == {"p": "6"}


def test_a_watch_goes_on_where_it_ended_bookmarks_included() -> None:
    kube = FakeKube()
    started(kube)
    kube.events.put(("BOOKMARK", pod(7)))
    kube.events.put(StopIteration())
    assert wait_until(lambda: kube.watched_from == ["1", "7"], 5)


def test_after_an_expired_watch_everything_is_listed_again() -> None:
    kube = FakeKube()
    kube.items = [pod(1, "gone meanwhile")]
    mirror, _ = started(kube)
    kube.items, kube.version = [pod(20, "new")], "20"
    kube.events.put(ExpiredError("too old"))
    assert wait_until(lambda: versions(mirror) == {"new": "20"}, 5)
    assert wait_until(lambda: kube.watched_from[-1] == "20", 5)


def test_it_is_complete_when_every_resource_has_been_listed() -> None:
    release = threading.Event()

    class Slow(FakeKube):
        def list(self, resource: Resource) -> Any:
            release.wait(10)
            return super().list(resource)

    mirror = Mirror(Slow(), [PODS], lambda: None)
    mirror.start()
    assert not mirror.complete
    release.set()
    assert wait_until(lambda: mirror.complete, 5)
