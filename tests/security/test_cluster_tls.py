"""The cluster is believed only under a certificate that the kubeconfig's authority has signed."""

import base64
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from controller.errors import EdgeError, Unavailable
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES


class Server(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers["Authorization"])
        self.send_error(401)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def served(authority: trustme.CA) -> Iterator[tuple[str, list[str]]]:
    """Give the address of a server with a certificate of the authority, and the tokens that it was sent."""
    asked: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Server", (Server,), {"asked": asked})
    ) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def ask(folder: Path, url: str, **cluster: Any) -> EdgeError:
    file = folder / "kubeconfig"
    content = {
        "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "x", "user": {"token": "t0ken"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    file.write_text(yaml.safe_dump(content))
    connection = Cluster.connect(str(file))
    with pytest.raises(EdgeError) as caught:
        connection.read(CANARIES, "shop", "echo")
    connection.close()
    return caught.value


@pytest.mark.parametrize("known", ["nobody", "a stranger"])
def test_a_stranger_is_told_no_token(served: tuple[str, list[str]], tmp_path: Path, known: str) -> None:
    url, asked = served
    pem = base64.b64encode(trustme.CA().cert_pem.bytes()).decode()
    error = ask(tmp_path, url, **({} if known == "nobody" else {"certificate-authority-data": pem}))
    assert isinstance(error, Unavailable)
    assert "certificate verify failed" in str(error)
    assert asked == []


def test_who_is_known_is_told(served: tuple[str, list[str]], tmp_path: Path, authority: trustme.CA) -> None:
    url, asked = served
    pem = base64.b64encode(authority.cert_pem.bytes()).decode()
    ask(tmp_path, url, **{"certificate-authority-data": pem})
    assert asked[0] == "Bearer t0ken"
