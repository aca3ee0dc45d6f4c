"""MetricTemplates as the API server keeps them."""

from collections.abc import Callable, Iterator

import pytest

from config.load import load_spec
from config.metrics import QueryMetric
from config.templates import TEMPLATE_KIND
from controller.errors import Refused
from controller.kube.client import Cluster
from controller.kube.resources import METRIC_TEMPLATES, Document
from controller.kube.templates import KubeTemplates
from controller.kube.watch import Watched


Eventually = Callable[[Callable[[], object]], None]

QUEUE = {"query": "max(queue)", "max": 10}
CANARY = {
    "workload": {"selector": {"app": "web"}},
    "upstream": {"name": "web", "namespace": "gloo-system"},
    "routes": [{"name": "web", "namespace": "gloo-system"}],
    "analysis": {"metrics": [{"templateRef": {"name": "queue"}}]},
}


def template(name: str, **spec: object) -> Document:
    return {
        "apiVersion": METRIC_TEMPLATES.api_version,
        "kind": TEMPLATE_KIND,
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture
def watched(cluster: Cluster) -> Iterator[Watched]:
    watched = Watched(cluster, METRIC_TEMPLATES).start()
    yield watched
    watched.stop()


def test_the_templates_of_a_namespace_are_given_by_name_and_followed(
    cluster: Cluster, namespace: str, watched: Watched, eventually: Eventually
) -> None:
    templates = KubeTemplates(watched)
    assert templates.of(namespace) == {}
    created = cluster.create(METRIC_TEMPLATES, namespace, template("queue", **QUEUE))
    eventually(lambda: templates.of(namespace))
    assert set(templates.of(namespace)) == {"queue"}
    assert templates.of("elsewhere") == {}
    metric = QueryMetric(name="queue", query="max(queue)", max=10)
    assert load_spec(CANARY, templates.of(namespace)).analysis.metrics == (metric,)
    cluster.delete(METRIC_TEMPLATES, namespace, "queue", uid=created["metadata"]["uid"])
    eventually(lambda: not templates.of(namespace))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"query": "up", "max": 1, "failureLimit": 0}, "spec.failureLimit"),
        ({"ratio": {"bad": "x"}}, "spec.ratio.total"),
        ({"query": "up", "max": 1, "tolerate": 0.5}, "spec.tolerate"),
    ],
)
def test_the_server_refuses_what_the_schema_can_say(
    cluster: Cluster, namespace: str, spec: Document, said: str
) -> None:
    with pytest.raises(Refused, match=said):
        cluster.create(METRIC_TEMPLATES, namespace, template("queue", **spec))
