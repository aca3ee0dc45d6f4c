"""Credentials that are rotated: a revoked token is replaced by the one in its file, at once."""

import json
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from controller.errors import Deposed, EdgeError, Forbidden, Unavailable
from controller.kube.client import Cluster
from controller.kube.resources import DEPLOYMENTS


Play = Callable[..., None]
Asked = list[dict[str, Any]]

OBJECT = {"metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7"}}
UNKNOWN = {"code": 401, "body": {"kind": "Status", "message": "Unauthorized"}}


@pytest.fixture
def token(tmp_path: Path) -> Path:
    token = tmp_path / "token"
    token.write_text("first")
    return token


def kubeconfig(folder: Path, server: ThreadingHTTPServer, token: Path, context: str = "c") -> Path:
    path = folder / "kubeconfig"
    address = f"http://127.0.0.1:{server.server_address[1]}"
    entry = {"cluster": "c", "user": "u"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {"name": "c", "cluster": {"server": address}},
            {"name": "d", "cluster": {"server": "http://127.0.0.1:1"}},
        ],
        "contexts": [{"name": "c", "context": entry}, {"name": "d", "context": {**entry, "cluster": "d"}}],
        "users": [{"name": "u", "user": {"tokenFile": str(token)}}],
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(params=["kubeconfig", "pod"])
def cluster(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    server: ThreadingHTTPServer,
    token: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    """Connect with a token from a file, as a pod does, or as somebody with a kubeconfig."""
    if request.param == "pod":
        authority = tmp_path / "ca.crt"
        authority.write_text("none: the stand-in speaks no TLS")
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_address[1]))
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(authority))
        load: Any = incluster_config.InClusterConfigLoader._load_config

        def without_tls(loader: Any) -> None:
            load(loader)
            loader.host = loader.host.replace("https://", "http://")
            loader.ssl_ca_cert = None

        monkeypatch.setattr(incluster_config.InClusterConfigLoader, "_load_config", without_tls)
        cluster = Cluster.connect()
    else:
        cluster = Cluster.connect(str(kubeconfig(tmp_path, server, token)))
    yield cluster
    cluster.close()


def tokens(asked: Asked) -> list[str]:
    return [request["headers"]["authorization"].split()[-1] for request in asked]


def test_a_revoked_token_is_replaced_by_the_new_one_at_once(
    cluster: Cluster, play: Play, asked: Asked, token: Path
) -> None:
    play({"body": OBJECT}, UNKNOWN, {"body": OBJECT})
    cluster.read(DEPLOYMENTS, "shop", "web")
    token.write_text("second")
    assert cluster.patch(DEPLOYMENTS, "shop", "web", []) == OBJECT
    assert cluster.read(DEPLOYMENTS, "shop", "web") == OBJECT
    assert tokens(asked) == ["first", "first", "second", "second"]


def test_so_it_is_for_a_watch(cluster: Cluster, play: Play, asked: Asked, token: Path) -> None:
    token.write_text("second")
    play(UNKNOWN, {"events": [{"type": "ADDED", "object": OBJECT}]})
    stream = cluster.watch(DEPLOYMENTS, resource_version="5")
    assert [change.document for change in stream] == [OBJECT]
    assert tokens(asked) == ["first", "second"]


def test_a_token_that_is_still_the_same_is_not_sent_again(cluster: Cluster, play: Play, asked: Asked) -> None:
    play(UNKNOWN)
    with pytest.raises(Forbidden, match="Unauthorized"):
        cluster.read(DEPLOYMENTS, "shop", "web")
    assert tokens(asked) == ["first"]


def test_a_new_token_that_is_not_known_either_ends_it(
    cluster: Cluster, play: Play, asked: Asked, token: Path
) -> None:
    token.write_text("second")
    play(UNKNOWN)
    with pytest.raises(Forbidden):
        cluster.patch(DEPLOYMENTS, "shop", "web", [])
    assert tokens(asked) == ["first", "second"]


def test_a_file_that_is_just_being_replaced_is_a_failure_that_passes(
    cluster: Cluster, play: Play, asked: Asked, token: Path
) -> None:
    token.unlink()
    play(UNKNOWN, UNKNOWN, {"body": OBJECT})
    with pytest.raises(Unavailable) as caught:
        cluster.read(DEPLOYMENTS, "shop", "web")
    assert "first" not in f"{caught.value!r} {caught.value.__cause__!r}"
    token.write_text("second")
    assert cluster.read(DEPLOYMENTS, "shop", "web") == OBJECT
    assert tokens(asked) == ["first", "first", "second"]


def test_a_write_needs_permission_again(
    tmp_path: Path, server: ThreadingHTTPServer, play: Play, asked: Asked, token: Path
) -> None:
    def once() -> None:
        if asked:
            raise Deposed("another process leads by now")

    cluster = Cluster.connect(str(kubeconfig(tmp_path, server, token)), permit=once)
    token.write_text("second")
    play(UNKNOWN, {"body": OBJECT})
    with pytest.raises(Deposed):
        cluster.patch(DEPLOYMENTS, "shop", "web", [])
    assert len(asked) == 1
    cluster.close()


def test_another_current_context_changes_nothing(
    tmp_path: Path, server: ThreadingHTTPServer, play: Play, token: Path
) -> None:
    cluster = Cluster.connect(str(kubeconfig(tmp_path, server, token)))
    kubeconfig(tmp_path, server, token, context="d")
    token.write_text("second")
    play(UNKNOWN, {"body": OBJECT})
    assert cluster.read(DEPLOYMENTS, "shop", "web") == OBJECT
    cluster.close()


def test_credentials_for_another_cluster_are_not_used(
    tmp_path: Path, server: ThreadingHTTPServer, play: Play, asked: Asked, token: Path
) -> None:
    path = kubeconfig(tmp_path, server, token)
    cluster = Cluster.connect(str(path))
    token.write_text("second")
    path.write_text(path.read_text().replace(cluster.server, "http://127.0.0.1:2"))
    play(UNKNOWN)
    with pytest.raises(EdgeError, match=r"credentials are for http://127\.0\.0\.1:2 now, not for"):
        cluster.read(DEPLOYMENTS, "shop", "web")
    assert cluster.server == f"http://127.0.0.1:{server.server_address[1]}"
    assert tokens(asked) == ["first"]
    cluster.close()
