"""An API server takes what Helm renders, word for word."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import models

from sandbox.apiserver.testing import ApiServer


Document = dict[str, Any]
Render = Callable[..., list[Document]]

RBAC = "rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[ApiServer]:
    """Run a server with the chart's CRD and the release's namespace."""
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as server:
        for arguments in (
            ("apply", "--filename", folder / "crds"),
            ("wait", "--for=condition=Established", "crd/canaries.crossfade.dev"),
            ("create", "namespace", "crossfade-system"),
        ):
            done = server.kubectl(*arguments)
            assert done.returncode == 0, done.stderr
        yield server


SECRETS = {
    "prometheus": {
        "url": "https://prometheus.example.org",
        "headers": {"X-Scope-OrgID": "shop"},
        "auth": {"basicSecret": {"name": "reader"}},
        "tls": {"caConfigMap": {"name": "authorities"}, "certSecret": {"name": "ours"}},
    }
}


@pytest.mark.parametrize(
    "values",
    [{}, {"watchNamespace": "shop"}, SECRETS],
    ids=["everywhere", "one-namespace", "secrets"],
)
def test_kubectl_and_the_server_take_every_object(
    server: ApiServer, render: Render, values: Document
) -> None:
    documents = [document for document in render(values) if document["apiVersion"] != RBAC]
    done = server.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--output=name", "--filename=-"),
        stdin=yaml.safe_dump_all(documents),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [
        "deployment.apps/crossfade",
        "service/crossfade",
        "serviceaccount/crossfade",
    ]


@pytest.mark.parametrize("values", [{}, {"watchNamespace": "shop"}], ids=["everywhere", "one-namespace"])
def test_rights_have_no_field_that_kubernetes_does_not_know(render: Render, values: Document) -> None:
    """The sandbox's server has no RBAC, so the client's own models stand in for it."""
    documents = [document for document in render(values) if document["apiVersion"] == RBAC]
    assert len(documents) == 4
    for document in documents:
        model = getattr(models, f"V1{document['kind']}").from_dict(document)
        assert model.model_dump(by_alias=True, exclude_none=True) == document


def test_the_definition_serves_canaries(server: ApiServer) -> None:
    done = server.kubectl("get", "canaries", "--all-namespaces")
    assert (done.returncode, done.stderr.strip()) == (0, "No resources found")
