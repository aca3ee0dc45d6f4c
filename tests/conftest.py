"""One sandbox for the whole session, and kubectl; tests keep apart by namespace and by domain."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import structlog

from sandbox.cluster import Cluster


Kubectl = Callable[..., str]
KUBECTL = Path(sys.executable).with_name("kubectl")


hypothesis.settings.register_profile("crossfade", deadline=None)  # machines may be slow
hypothesis.settings.load_profile("crossfade")

LONGEST = ("chaos", "controller/rollout/test_mutants", "e2e", "sandbox")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nobody waits for it alone at the end."""
    tests = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        place = item.path.relative_to(tests).as_posix()
        return next((at for at, each in enumerate(LONGEST) if place.startswith(each)), len(LONGEST))

    items.sort(key=turn)


@pytest.fixture(autouse=True)
def fresh_logging() -> Iterator[None]:
    """Undo what the command line or the service configure for the whole process."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Provide a sandbox that is up; a test that stops one of its parts starts it again."""
    with Cluster(tmp_path_factory.mktemp("cluster"), authorization="rbac") as running:
        yield running


@pytest.fixture(scope="session")
def kubectl(cluster: Cluster) -> Kubectl:
    """Real kubectl on the sandbox: `kubectl("get", "pods", stdin=...)` returns what it prints."""
    return kubectl_for(cluster)


@pytest.fixture
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """Make a namespace of the test's own, gone afterwards."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def connect() -> Callable[[Cluster], Kubectl]:
    """Make a kubectl for a sandbox that a test has started itself."""
    return kubectl_for


def kubectl_for(cluster: Cluster) -> Kubectl:
    """Return a function that runs kubectl on `cluster`; what kubectl complains about fails the test."""

    def run(*arguments: str, stdin: str | None = None) -> str:
        environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        done = subprocess.run(
            [KUBECTL, *arguments],
            input=stdin,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    return run
