"""An API server takes what Helm renders, word for word; and the plain manifests as they are."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.apiserver.testing import ApiServer


Document = dict[str, Any]
Render = Callable[..., list[Document]]
ValuesOf = Callable[[str], Document]

INSTALL = Path(__file__).parents[2] / "install"
TEXT, LIST, MAP = {"type": "string"}, {"type": "array"}, {"type": "object"}
OPEN = {**MAP, "x-kubernetes-preserve-unknown-fields": True}
ENDPOINT = {
    **dict.fromkeys(("port", "path", "interval", "scrapeTimeout"), TEXT),
    "honorLabels": {"type": "boolean"},
    **{name: {**LIST, "items": OPEN} for name in ("relabelings", "metricRelabelings")},
}
RULE = {
    **dict.fromkeys(("alert", "record", "expr", "for", "keep_firing_for"), TEXT),
    **{name: {**MAP, "additionalProperties": TEXT} for name in ("labels", "annotations")},
}
GROUP = {"name": TEXT, "interval": TEXT, "rules": {**LIST, "items": {**MAP, "properties": RULE}}}
OF_THE_OPERATOR = {
    "ServiceMonitor": {
        "selector": OPEN,
        "namespaceSelector": {**MAP, "properties": {"matchNames": {**LIST, "items": TEXT}}},
        "endpoints": {**LIST, "items": {**MAP, "properties": ENDPOINT}},
    },
    "PodMonitor": {
        "selector": OPEN,
        "namespaceSelector": {**MAP, "properties": {"matchNames": {**LIST, "items": TEXT}}},
        "podMetricsEndpoints": {**LIST, "items": {**MAP, "properties": ENDPOINT}},
    },
    "PrometheusRule": {"groups": {**LIST, "items": {**MAP, "properties": GROUP}}},
}
"""Those fields of the Prometheus Operator's objects that a chart may want: others are refused."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """Run a server on which both plain manifests were installed, and the operator's definitions are."""
    with ApiServer(tmp_path_factory.mktemp("apiserver")) as server:
        for arguments, stdin in (
            (("apply", "--filename", INSTALL / "install.yaml"), ""),
            (("create", "namespace", "gloo-system"), ""),
            (("apply", "--filename", INSTALL / "install-namespaced.yaml"), ""),
            (("create", "namespace", "crossfade-system"), ""),
            (("create", "namespace", "shop"), ""),
            (("apply", "--filename=-"), yaml.safe_dump_all(_definitions())),
            (("wait", "--for=condition=Established", "--all", "crd"), ""),
        ):
            done = server.kubectl(*arguments, stdin=stdin)
            assert done.returncode == 0, done.stderr
        yield server


@pytest.mark.parametrize(
    "name",
    [
        *("", "everything-off", "everything-on", "high-availability"),
        *("namespaced", "one-that-elects", "pod-monitor", "secrets"),
    ],
)
def test_kubectl_and_the_server_take_every_object(
    server: ApiServer, render_all: Render, values_of: ValuesOf, name: str
) -> None:
    documents = render_all(values_of(name) if name else {})
    done = server.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--output=name", "--filename=-"),
        stdin=yaml.safe_dump_all(documents),
    )
    assert done.returncode == 0, done.stderr
    taken = [line.partition("/") for line in done.stdout.splitlines()]
    assert sorted((kind.partition(".")[0], name) for kind, _, name in taken) == sorted(
        (document["kind"].lower(), document["metadata"]["name"]) for document in documents
    )


def test_a_misspelled_field_would_be_found(server: ApiServer, render: Render, values_of: ValuesOf) -> None:
    documents = render(values_of("everything-on"))
    for document in documents:
        spec = document.get("spec", {})
        match document["kind"]:
            case "ServiceMonitor":
                spec["endpoints"][0]["honourLabels"] = True
            case "NetworkPolicy":
                spec["egres"] = []
            case "PodDisruptionBudget":
                spec["maxUnavailble"] = 1
            case _:
                continue
    done = server.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-"),
        stdin=yaml.safe_dump_all(documents),
    )
    for wrong in ("honourLabels", "egres", "maxUnavailble"):
        assert wrong in done.stderr


def test_what_was_installed_by_hand_is_there(server: ApiServer) -> None:
    """By both manifests: they share their names, so that one may follow the other."""
    done = server.kubectl(
        *("get", "deployments,configmaps,services,serviceaccounts,roles", "--all-namespaces"),
        "--output=jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}{'\\n'}{end}",
    )
    assert sorted(done.stdout.splitlines()) == [
        "ConfigMap crossfade/crossfade",
        "Deployment crossfade/crossfade",
        "Role crossfade/crossfade:crossfade:stop",
        "Role default/crossfade:crossfade:applications",
        "Role default/crossfade:crossfade:gateways",
        "Role gloo-system/crossfade:crossfade:gateways",
        "Service crossfade/crossfade",
        "ServiceAccount crossfade/crossfade",
    ]


def test_the_definition_serves_canaries(server: ApiServer) -> None:
    done = server.kubectl("get", "canaries", "--all-namespaces")
    assert (done.returncode, done.stderr.strip()) == (0, "No resources found")


def _definitions() -> list[Document]:
    return [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{kind.lower()}s.monitoring.coreos.com"},
            "spec": {
                "group": "monitoring.coreos.com",
                "scope": "Namespaced",
                "names": {"kind": kind, "plural": f"{kind.lower()}s", "singular": kind.lower()},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "schema": {
                            "openAPIV3Schema": {
                                "type": "object",
                                "properties": {"spec": {"type": "object", "properties": fields}},
                            }
                        },
                    }
                ],
            },
        }
        for kind, fields in OF_THE_OPERATOR.items()
    ]
