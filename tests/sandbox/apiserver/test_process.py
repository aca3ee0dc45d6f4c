"""The server as a process: how it begins, ends, and comes back."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import requests

from sandbox.apiserver.testing import ApiServer


if TYPE_CHECKING:
    from pathlib import Path


_MAPS = "/api/v1/namespaces/default/configmaps"


def _create(server: ApiServer, name: str) -> int:
    return server.request("POST", _MAPS, {"metadata": {"name": name}})[0]


def test_what_was_answered_survives_a_kill_at_any_moment(tmp_path: Path) -> None:
    server = ApiServer(tmp_path)
    answered: list[str] = []

    def write() -> None:
        for n in range(100_000):
            try:
                code = _create(server, f"n-{n}")
            except requests.ConnectionError:
                return
            assert code == 201
            answered.append(f"n-{n}")

    with server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        deadline = time.monotonic() + 30
        while len(answered) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.kill() == -signal.SIGKILL
        writing.result()
        server.start()
        found = server.request("GET", _MAPS)[1]["items"]
        assert set(answered) <= {each["metadata"]["name"] for each in found}
        assert len(found) - len(answered) in (0, 1)


def test_a_restart_is_a_pause_for_those_who_watch(tmp_path: Path) -> None:
    with ApiServer(tmp_path) as server:
        url = server.url
        version = server.request("GET", _MAPS)[1]["metadata"]["resourceVersion"]
        assert _create(server, "a") == 201
        definition = {
            "metadata": {"name": "roads.example.io"},
            "spec": {
                "group": "example.io",
                "scope": "Cluster",
                "names": {"plural": "roads", "kind": "Road"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": {"type": "object"}},
                    }
                ],
            },
        }
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        assert server.request("POST", path, definition)[0] == 201
        server.kill()
        server.start()
        assert server.url == url
        assert server.request("GET", "/apis/example.io/v1/roads")[0] == 200
        watch = f"{url}{_MAPS}?watch=1&timeoutSeconds=1&resourceVersion={version}"
        assert '"name":"a"' in requests.get(watch, timeout=30).text


def test_a_term_ends_it_quickly_even_with_open_watches(tmp_path: Path) -> None:
    with ApiServer(tmp_path) as server:
        answer = requests.get(f"{server.url}{_MAPS}?watch=1", stream=True, timeout=60)
        lines: list[bytes] = []
        reading = threading.Thread(target=lambda: lines.extend(answer.iter_lines()))
        reading.start()
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 15
        reading.join(timeout=10)
        assert not reading.is_alive()


def test_it_serves_loopback_only() -> None:
    command = [sys.executable, "-m", "sandbox.apiserver", "--listen", "0.0.0.0:0"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert found.returncode == 2
    assert "0.0.0.0 is not a loopback address" in found.stderr
