"""One controller for all end-to-end tests; each has an application of its own."""

import subprocess
from collections.abc import Callable, Iterator

import pytest

from releases import CROSSFADE, Application, Controller
from sandbox.cluster import Cluster
from schemas import breaches


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def controller(
    cluster: Cluster, kubectl: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    kubectl("apply", "-f", "-", stdin=subprocess.check_output([CROSSFADE, "crd"], text=True))
    folder = tmp_path_factory.mktemp("controller")
    with Controller(cluster.kubeconfig, cluster.prometheus, folder) as running:
        yield running
        assert running.stop() == 0
    assert "tick.crashed" not in running.log.read_text()
    assert breaches(cluster.audit_log) == [], "Gloo's schemas do not allow what was written"


@pytest.fixture
def app(
    cluster: Cluster, kubectl: Callable[..., str], namespace: str, controller: Controller
) -> Iterator[Application]:
    application = Application(cluster, kubectl, namespace)
    yield application
    kubectl("delete", "virtualservice,upstream", "-n", "gloo-system", namespace, "--ignore-not-found")


@pytest.fixture
def neighbour(cluster: Cluster, kubectl: Callable[..., str], app: Application) -> Iterator[Application]:
    """Another application, in a namespace of its own."""
    application = Application(cluster, kubectl, f"{app.namespace}-next")
    kubectl("create", "namespace", application.namespace)
    yield application
    kubectl("delete", "namespace", application.namespace, "--wait=false")
    kubectl("delete", "virtualservice,upstream", "-n", "gloo-system", application.name, "--ignore-not-found")
