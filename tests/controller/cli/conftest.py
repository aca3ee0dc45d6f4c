"""A real API server for the command line, and a controller's part played by hand."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from command_line import World, kubectl, start_server
from config.crd import as_yaml
from config.status import load_status
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES
from controller.ports import ANNOTATION


_COUNT = itertools.count(1)


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the kubeconfig of a server that knows Canaries."""
    process, path = start_server(tmp_path_factory.mktemp("server"))
    try:
        applied = kubectl(path, "apply", "-f", "-", text=as_yaml())
        assert applied.code == 0, applied.err
        yield path
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def world(kubeconfig: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[World]:
    """Give an empty namespace."""
    namespace = f"shop-{next(_COUNT)}"
    cluster = Cluster.connect(str(kubeconfig))
    made = requests.post(
        f"{cluster.server}/api/v1/namespaces", json={"metadata": {"name": namespace}}, timeout=10
    )
    assert made.status_code == 201, made.text
    yield World(namespace, kubeconfig, cluster, capsys)
    cluster.close()


@pytest.fixture
def obedient(world: World) -> Iterator[Callable[[str], None]]:
    """Give a controller that takes the next order and answers with a sentence."""
    threads: list[threading.Thread] = []

    def take(sentence: str) -> None:
        def work() -> None:
            for change in world.cluster.watch(CANARIES, world.namespace, seconds=20):
                annotation = (change.document["metadata"].get("annotations") or {}).get(ANNOTATION)
                if annotation:
                    status = load_status(change.document.get("status"))
                    world.report(replace(status, last_command=json.loads(annotation)["id"], reason=sentence))
                    return

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield take
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
