"""Envoy's files: what is published is what a real Envoy has taken."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.envoy import Gateway
from sandbox.gloo.translate import Translation
from sandbox.gloo.xds import Admin, Publisher, prepare
from sandbox.process import start, wait_until


def host(name: str, domain: str, cluster: str = "a", **route: str) -> dict[str, Any]:
    action = {"cluster": cluster, **route}
    return {"name": name, "domains": [domain], "routes": [{"match": {"prefix": "/"}, "route": action}]}


def translation(*hosts: dict[str, Any], clusters: tuple[str, ...] = ("a",)) -> Translation:
    return Translation(
        virtual_hosts={h["name"]: h for h in hosts},
        clusters={c: {"name": c, "type": "EDS", "connect_timeout": "1s"} for c in clusters},
        endpoints={c: {"cluster_name": c, "endpoints": []} for c in clusters},
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("envoy"), free_port(), free_port())
    process = start(running.prepare(), running.folder / "envoy.log")
    admin = Admin(f"http://127.0.0.1:{running.admin_port}")
    assert wait_until(lambda: admin.route_updates() is not None, 30)
    yield running
    process.kill()
    process.wait()


@pytest.fixture
def publisher(gateway: Gateway) -> Publisher:
    return Publisher(gateway.folder, Admin(f"http://127.0.0.1:{gateway.admin_port}"))


def test_without_an_envoy_files_are_written_all_the_same(tmp_path: Path) -> None:
    prepare(tmp_path)
    alone = Publisher(tmp_path, Admin("http://127.0.0.1:9"))
    assert alone.publish(translation(host("x", "x"))) == set()
    assert list(alone.published()) == ["x"]
    assert json.loads((tmp_path / "eds-a.json").read_text())["resources"][0]["cluster_name"] == "a"


def test_preparing_again_keeps_what_is_there(tmp_path: Path) -> None:
    prepare(tmp_path)
    alone = Publisher(tmp_path, Admin("http://127.0.0.1:9"))
    alone.publish(translation(host("x", "x")))
    prepare(tmp_path)
    assert list(alone.published()) == ["x"]


@pytest.mark.e2e
def test_clusters_are_there_before_routes_and_go_after_them(publisher: Publisher, gateway: Gateway) -> None:
    admin = Admin(f"http://127.0.0.1:{gateway.admin_port}")
    assert publisher.publish(translation(host("x", "x", "a"))) == set()
    assert admin.clusters() == {"a"}
    assert publisher.publish(translation(host("x", "x", "b"), clusters=("b",))) == set()
    assert wait_until(lambda: admin.clusters() == {"b"}, 5)
    assert not (gateway.folder / "eds-a.json").exists()


@pytest.mark.e2e
@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(host("y", "x"), id="a domain twice"),
        pytest.param(host("y", "y", timeout="soon"), id="no duration"),
    ],
)
def test_what_envoy_refuses_is_told_and_undone_and_nothing_else(
    publisher: Publisher, bad: dict[str, Any]
) -> None:
    publisher.publish(translation(host("x", "x")))
    assert publisher.publish(translation(host("x", "x"), bad, host("z", "z"))) == {"y"}
    assert set(publisher.published()) == {"x", "z"}
