"""The ConfigMap that stops all releases, as the API server keeps it."""

from collections.abc import Callable, Iterator

import pytest

from controller.kube.client import Cluster
from controller.kube.line import LONGEST, KubeLine
from controller.kube.resources import CONFIG_MAPS, Document
from controller.kube.watch import Watched
from controller.ports import Free
from controller.telemetry.line import LineCollector


Eventually = Callable[[Callable[[], object]], None]


def configmap(name: str = "stop", **data: str) -> Document:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def number(line: KubeLine | Free) -> float:
    (metric,) = LineCollector(line).collect()
    (sample,) = metric.samples
    assert sample.name == "crossfade_stopped"
    return float(sample.value)


@pytest.fixture
def watched(cluster: Cluster, namespace: str) -> Iterator[Watched]:
    watched = Watched(cluster, CONFIG_MAPS, namespace).only("stop")
    yield watched
    watched.stop()


def test_it_is_stopped_while_the_configmap_is_there(
    cluster: Cluster, namespace: str, watched: Watched, eventually: Eventually
) -> None:
    line = KubeLine(watched, namespace, "stop")
    called = f"ConfigMap {namespace}/stop"
    assert line.stopped() == f"because {called} cannot be read (not listed yet)"
    assert number(line) == 1
    watched.start()
    eventually(lambda: not line.stopped())
    assert number(line) == 0
    cluster.create(CONFIG_MAPS, namespace, configmap("another", reason="no"))
    made = cluster.create(CONFIG_MAPS, namespace, configmap(reason="disk full"))
    eventually(line.stopped)
    assert line.stopped() == f"by {called}: disk full"
    assert number(line) == 1
    assert [each["metadata"]["name"] for each in watched.all()] == ["stop"]
    cluster.delete(CONFIG_MAPS, namespace, "stop", uid=made["metadata"]["uid"])
    eventually(lambda: not line.stopped())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"reason": " disk\n\x1b[31m full "}, "disk [31m full"),
        ({"reason": "x" * (LONGEST + 1)}, "x" * (LONGEST - 3) + "..."),
        ({"reason": "x" * LONGEST}, "x" * LONGEST),
        ({"why": "disk full"}, "its data.reason does not say why"),
        (None, "its data.reason does not say why"),
        ({"reason": None}, "its data.reason does not say why"),
    ],
)
def test_whatever_it_says_it_counts(watched: Watched, data: object, words: str) -> None:
    watched.put({"metadata": {"namespace": "ops", "name": "stop", "resourceVersion": "7"}, "data": data})
    assert KubeLine(watched, "ops", "stop").stopped() == f"by ConfigMap ops/stop: {words}"


def test_where_nothing_is_named_nothing_is_stopped() -> None:
    assert number(Free()) == 0
