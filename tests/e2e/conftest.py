"""One controller for all end-to-end tests; each has an application of its own.

The controller may do what the chart grants with its default values, and nothing else.
"""

import subprocess
from collections.abc import Callable, Iterator

import pytest
import yaml

from granted import NAMESPACE, Account, asked
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
    folder, account = tmp_path_factory.mktemp("controller"), Account.of_release()
    kubectl("create", "namespace", NAMESPACE)
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(account.documents))
    kubeconfig = account.kubeconfig(cluster.apiserver, folder / "kubeconfig")
    with Controller(kubeconfig, cluster.prometheus, folder) as running:
        yield running
        assert running.stop() == 0
    log = running.log.read_text()
    assert "tick.crashed" not in log
    assert account.name not in log, "the chart does not grant what was needed"
    assert [each for each in asked(cluster.apiserver) if each.user == account.name and not each.allowed] == []
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
