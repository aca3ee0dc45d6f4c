"""Whatever comes and goes, nothing of it stays in memory: 10,000 ticks of Canaries that are deleted again."""

import copy
import gc
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, cast

import pytest
import yaml

import config
from config.settings import Settings
from controller.app import Service
from controller.errors import NotFound
from controller.kube.lease import Alone
from controller.kube.resources import CANARIES, Document, Resource
from controller.live import Live
from controller.ports import Key
from controller.reconcile import Reconciler
from controller.telemetry.metrics import Metrics


EXAMPLE = yaml.safe_load((Path(config.__file__).parent / "examples" / "minimal.yaml").read_text())
ROUND = 250
"""Canaries that come and go before it is counted again."""
TICKS = 5
"""Of each Canary."""
SPEC = {"template": {"metadata": {"labels": {"app": "echo"}}}, "upstream": {"name": "echo"}}
"""Of whatever a Canary may refer to."""
_CODE = (FunctionType, ModuleType, type)


class Server:
    """Stands for the API server, as far as Canaries are written that nobody else changes."""

    server = "memory"
    namespace = "default"

    def __init__(self) -> None:
        self.versions = itertools.count(1)
        self.documents: dict[tuple[str, str], Document] = {}

    def version(self) -> str:
        return str(next(self.versions))

    def read(self, resource: Resource, namespace: str, name: str) -> Document:
        if resource != CANARIES or (namespace, name) not in self.documents:
            raise NotFound(f"{resource} {namespace}/{name}")
        return self.documents[namespace, name]

    def replace(self, _resource: Resource, document: Document, *, subresource: str) -> Document:
        assert subresource == "status"
        address = document["metadata"]["namespace"], document["metadata"]["name"]
        return self._store(address, {"status": document["status"]})

    def patch(self, resource: Resource, namespace: str, name: str, patch: Any) -> Document:
        assert resource == CANARIES
        return self._store((namespace, name), {}, patch.get("metadata", {}))

    def create(self, *_: object) -> Document:
        return {}

    def close(self) -> None:
        pass

    def _store(self, address: tuple[str, str], fields: Document, metadata: Any = None) -> Document:
        known = self.documents[address]
        changed = {**known["metadata"], **(metadata or {}), "resourceVersion": self.version()}
        self.documents[address] = {**known, **fields, "metadata": changed}
        return self.documents[address]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def service(server: Server) -> Iterator[Service]:
    """Build the real service; its threads are not started, the test does what they would do."""
    settings = Settings(listen_port=0, prometheus_url="http://127.0.0.1:9", log_level="error")
    service = Service(settings, cast("Any", server), Metrics(), Alone(), Live())
    yield service
    service._server._socket.close()


def document(server: Server, name: str) -> Document:
    made: Document = copy.deepcopy(EXAMPLE)
    made["spec"]["upstream"]["name"] = made["spec"]["routes"][0]["name"] = name
    made["metadata"] = {
        "name": name,
        "namespace": "shop",
        "uid": f"uid-{name}",
        "resourceVersion": server.version(),
        "generation": 1,
        "creationTimestamp": "2026-08-01T00:00:00+00:00",
    }
    return made


def come_and_go(service: Service, server: Server, names: range) -> int:
    """Let Canaries come, be looked at, refer to what comes and goes as well, and go; give their ticks."""
    watch, ticks = cast("Any", service._watch_canaries), 0
    others = cast("Any", service._watches)
    for name in (f"echo-{number}" for number in names):
        made = server.documents["shop", name] = document(server, name)
        watch._take("ADDED", made)
        for number in range(TICKS):
            for watched in others:
                metadata = {
                    "name": name,
                    "namespace": "shop",
                    "resourceVersion": server.version(),
                    "uid": name,
                }
                watched._take(("ADDED", "DELETED")[number % 2], {"metadata": metadata, "spec": SPEC})
            assert service._tick(Key("shop", name)) is not None or number
            ticks += 1
        for watched in others:
            metadata = {"name": name, "namespace": "shop", "resourceVersion": server.version(), "uid": name}
            watched._take("DELETED", {"metadata": metadata, "spec": SPEC})
        assert b'name="' in service._measured()
        watch._take(
            "DELETED",
            {
                **server.documents.pop(("shop", name)),
                "metadata": {**made["metadata"], "resourceVersion": server.version()},
            },
        )
        service._tick(Key("shop", name))
    return ticks


def reachable(root: object) -> Counter[str]:
    """Count what an object holds, by type."""
    seen, open_, found = {id(root)}, [root], Counter[str]()
    while open_:
        each = open_.pop()
        found[type(each).__name__] += 1
        for inner in gc.get_referents(each):
            if id(inner) not in seen and not isinstance(inner, _CODE):
                seen.add(id(inner))
                open_.append(inner)
    return found


def test_what_stays_behind_is_noticed(
    service: Service, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    come_and_go(service, server, range(20))
    before = reachable(service)
    come_and_go(service, server, range(20, 40))
    assert reachable(service)["Key"] - before["Key"] < 5
    monkeypatch.setattr(Reconciler, "forget", lambda *_: None)
    come_and_go(service, server, range(40, 60))
    assert reachable(service)["Key"] - before["Key"] >= 20


def test_ten_thousand_ticks_leave_nothing_behind(service: Service, server: Server) -> None:
    ticks = come_and_go(service, server, range(ROUND))
    held, series, threads = (
        reachable(service),
        len(service._measured().splitlines()),
        threading.active_count(),
    )
    first = sum(held.values())
    while ticks < 10_000:
        begun = ticks // TICKS
        ticks += come_and_go(service, server, range(begun, begun + ROUND))
    gc.collect()
    after = reachable(service)
    grown = {name: count - held[name] for name, count in after.items() if count - held[name] > ROUND // 10}
    assert grown == {}
    assert sum(after.values()) < first * 1.02
    assert len(service._measured().splitlines()) == series
    assert threading.active_count() == threads
    assert service._schedule._failures == service._schedule._due == {}
