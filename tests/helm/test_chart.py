"""What somebody meets who installs the chart: its values, its messages, its names."""

import importlib.metadata
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import helm_python as helm
import pytest

from config.crd import as_yaml


Document = dict[str, Any]
Render = Callable[..., list[Document]]

IMAGE = {"image": {"repository": "registry.example.org/crossfade"}}
WARNING = 2
DEFINITIONS = json.loads((Path(__file__).parents[2] / "helm/crossfade/values.schema.json").read_text())[
    "definitions"
]


def test_helm_finds_nothing_to_warn_of(folder: Path) -> None:
    report = helm.lint(folder, IMAGE, strict=True)
    assert report["total_charts_linted"] == 1
    assert report["errors"] == []
    assert [message for message in report["messages"] if message["severity"] >= WARNING] == []


def test_the_definition_of_canaries_is_what_the_models_give(chart: helm.Chart) -> None:
    (definition,) = chart.crds
    assert definition["data"] == as_yaml(), (
        "bring it up to date: crossfade crd > helm/crossfade/crds/canaries.crossfade.dev.yaml"
    )


def test_a_cluster_takes_shares_that_are_written_as_numbers(chart: helm.Chart) -> None:
    """`max: 0.01` is no integer; `crossfade validate` takes it, so the API server must."""
    (definition,) = chart.crds
    assert "x-kubernetes-int-or-string" not in definition["data"]


def test_the_chart_installs_this_version(chart: helm.Chart, render: Render) -> None:
    version = importlib.metadata.version("crossfade")
    assert chart.metadata["appVersion"] == version
    (deployment,) = [document for document in render() if document["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"registry.example.org/crossfade:{version}"


def test_without_an_image_the_message_says_what_to_set(chart: helm.Chart) -> None:
    with pytest.raises(helm.HelmRenderError, match=r"image\.repository: found nothing.* like --set image"):
        chart.render(name="crossfade", namespace="crossfade-system")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        pytest.param({"replicas": 2}, "additional properties 'replicas' not allowed", id="unknown"),
        pytest.param({"replicaCount": -1}, "'/replicaCount': minimum: got -1, want 0", id="negative-count"),
        pytest.param({"replicaCount": "2"}, "'/replicaCount': got string, want integer", id="count-text"),
        pytest.param(
            {"fullnameOverride": "1st"}, "'/fullnameOverride': '1st' does not match", id="digit-first"
        ),
        pytest.param({"nameOverride": "Mine"}, "'/nameOverride': 'Mine' does not match", id="capital"),
        pytest.param({"commonAnnotations": {"a": 1}}, "'/commonAnnotations/a': got number", id="number"),
        pytest.param({"podMonitor": {"enable": True}}, "additional properties 'enable'", id="pod-monitor"),
        pytest.param({"commonLabels": {"a": "b c"}}, "'/commonLabels/a': 'b c' does not match", id="label"),
        pytest.param({"podLabels": {"a": 1}}, "'/podLabels/a': got number, want string", id="label-number"),
        pytest.param({"podAnnotations": {"a": True}}, "'/podAnnotations/a': got boolean", id="annotation"),
        pytest.param(
            {"leaderElection": {"leaseDuration": "15"}}, "'/leaderElection/leaseDuration'", id="lease-no-unit"
        ),
        pytest.param(
            {"leaderElection": {"leaseDuration": "1500ms"}},
            "'/leaderElection/leaseDuration'",
            id="lease-parts",
        ),
        pytest.param({"leaderElection": True}, "'/leaderElection': got boolean, want object", id="election"),
        pytest.param({"serviceMonitor": {"enable": True}}, "additional properties 'enable'", id="misspelled"),
        pytest.param({"serviceMonitor": {"interval": "15"}}, "'/serviceMonitor/interval'", id="interval"),
        pytest.param(
            {"prometheusRule": {"enabled": "yes"}}, "'/prometheusRule/enabled': got string", id="yes"
        ),
        pytest.param(
            {"networkPolicy": {"apiServerPorts": [0]}},
            "'/networkPolicy/apiServerPorts/0': minimum",
            id="port-0",
        ),
        pytest.param(
            {"networkPolicy": {"apiServerPorts": []}},
            "'/networkPolicy/apiServerPorts': minItems",
            id="no-port",
        ),
        pytest.param(
            {"networkPolicy": {"prometheusPort": 70000}},
            "'/networkPolicy/prometheusPort': maximum",
            id="port-max",
        ),
        pytest.param(
            {"networkPolicy": {"from": ["10.0.0.1"]}}, "'/networkPolicy/from/0': got string", id="peer"
        ),
        pytest.param(
            {"podDisruptionBudget": {"maxUnavailable": 0}},
            "'/podDisruptionBudget/maxUnavailable'",
            id="no-drain",
        ),
        pytest.param(
            {"podDisruptionBudget": {"maxUnavailable": "0%"}},
            "'/podDisruptionBudget/maxUnavailable'",
            id="0%",
        ),
        pytest.param({"affinity": {"nodeAffinty": {}}}, "additional properties 'nodeAffinty'", id="affinity"),
        pytest.param(
            {"topologySpreadConstraints": [{"maxSkew": 1}]},
            "'/topologySpreadConstraints/0': missing properties 'topologyKey', 'whenUnsatisfiable'",
            id="spread",
        ),
        pytest.param({"livenessProbe": {"path": "/"}}, "'/livenessProbe': additional properties", id="probe"),
        pytest.param({"extraArgs": "--context=a"}, "'/extraArgs': got string, want array", id="args"),
        pytest.param(
            {"extraEnv": [{"name": "A", "value": 1}]},
            "'/extraEnv/0/value': got number, want string",
            id="env",
        ),
        pytest.param({"extraEnv": [{"value": "1"}]}, "'/extraEnv/0': missing property 'name'", id="env-name"),
        pytest.param({"extraVolumes": [{"name": "settings"}]}, "'/extraVolumes/0/name'", id="volume-ours"),
        pytest.param({"extraVolumes": [{}]}, "'/extraVolumes/0': missing property 'name'", id="volume-name"),
        pytest.param({"extraObjects": [{"kind": "Secret"}]}, "'/extraObjects/0': missing prop", id="object"),
        pytest.param(
            {"log": {"colour": True}}, "'/log': additional properties 'colour'", id="unknown-inside"
        ),
        pytest.param({"image": {"repository": "r.example/x@sha256:0"}}, "'/image/repository'", id="digest"),
        pytest.param({"image": {"tag": 1.0}}, "'/image/tag': got number, want string", id="tag-number"),
        pytest.param({"image": {"tag": "one two"}}, "'/image/tag': 'one two' does not match", id="tag"),
        pytest.param({"image": {"pullPolicy": "always"}}, "'/image/pullPolicy': value must be", id="pull"),
        pytest.param({"imagePullSecrets": ["registry"]}, "'/imagePullSecrets/0': got string", id="secret"),
        pytest.param({"prometheus": {"url": "prometheus:9090"}}, "'/prometheus/url'", id="no-scheme"),
        pytest.param({"prometheus": {"url": "http://me:secret@p:9090"}}, "'/prometheus/url'", id="password"),
        pytest.param({"prometheus": {"timeout": "5"}}, "'/prometheus/timeout'", id="no-unit"),
        pytest.param({"prometheus": {"timeout": 5}}, "'/prometheus/timeout': got number", id="bare-number"),
        pytest.param({"prometheus": {"url": "https://p?token=s3cret"}}, "'/prometheus/url'", id="query"),
        pytest.param({"prometheus": {"headers": {"a b": "c"}}}, "'/prometheus/headers'", id="header-name"),
        pytest.param({"prometheus": {"headers": {"a": "b\nc: d"}}}, "'/prometheus/headers/a'", id="header"),
        pytest.param({"prometheus": {"headers": {"a": 1}}}, "'/prometheus/headers/a'", id="header-number"),
        pytest.param(
            {"prometheus": {"auth": {"bearerToken": "s3cret"}}}, "'/prometheus/auth'", id="token-itself"
        ),
        pytest.param(
            {"prometheus": {"auth": {"basicSecret": {"name": "a/b"}}}},
            "'/prometheus/auth/basicSecret/name'",
            id="no-name",
        ),
        pytest.param(
            {"prometheus": {"tls": {"caSecret": {"name": "ca", "key": ""}}}},
            "'/prometheus/tls/caSecret/key'",
            id="no-key",
        ),
        pytest.param(
            {"prometheus": {"tls": {"insecureSkipVerify": "no"}}},
            "'/prometheus/tls/insecureSkipVerify': got string",
            id="not-a-boolean",
        ),
        pytest.param({"watchNamespace": "My_Shop"}, "'/watchNamespace'", id="namespace"),
        pytest.param({"watchNamespaces": ["a", "B"]}, "'/watchNamespaces/1'", id="namespaces"),
        pytest.param({"canarySelector": "team;shop"}, "'/canarySelector'", id="selector"),
        pytest.param({"allowedNamespaces": ["*", "shop"]}, "'/allowedNamespaces'", id="all-and-some"),
        pytest.param({"tenancy": "Strict"}, "'/tenancy': value must be one of", id="tenancy"),
        pytest.param({"log": {"level": "warn"}}, "'/log/level': value must be one of", id="level"),
        pytest.param({"log": {"format": "text"}}, "'/log/format': value must be one of", id="format"),
        pytest.param({"workers": 0}, "'/workers': minimum: got 0, want 1", id="no-workers"),
        pytest.param({"workers": 65}, "'/workers': maximum: got 65, want 64", id="many-workers"),
        pytest.param({"workers": "8"}, "'/workers': got string, want integer", id="workers-text"),
        pytest.param(
            {"presets": {"http-errors": {"query": "up", "max": 1}}},
            "propertyName 'http-errors'",
            id="built-in",
        ),
        pytest.param(
            {"presets": {"Shop": {"query": "up", "max": 1}}}, "invalid propertyName 'Shop'", id="preset-name"
        ),
        pytest.param({"presets": {"a": {"max": 1}}}, "'/presets/a'", id="no-metric"),
        pytest.param({"presets": {"a": {"query": "up", "ratio": {}}}}, "'/presets/a", id="two-metrics"),
        pytest.param({"presets": {"a": {"ratio": {"bad": "x"}}}}, "'/presets/a/ratio'", id="no-total"),
        pytest.param({"presets": {"a": {"query": "up", "name": "b"}}}, "properties 'name'", id="its-name"),
        pytest.param(
            {"resources": {"cpu": "1"}}, "'/resources': additional properties 'cpu'", id="resources"
        ),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(render: Render, values: Document, said: str) -> None:
    with pytest.raises(helm.HelmValuesError, match=re.escape(said)):
        render(values)


@pytest.mark.parametrize(
    ("prometheus", "said"),
    [
        pytest.param(
            {"auth": {"bearerTokenSecret": {"name": "a"}, "basicSecret": {"name": "b"}}},
            "prometheus.auth: found bearerTokenSecret and basicSecret; set one of them",
            id="two-identities",
        ),
        pytest.param(
            {"tls": {"caSecret": {"name": "a"}, "caConfigMap": {"name": "b"}}},
            "prometheus.tls: found caSecret and caConfigMap; set one of them",
            id="two-authorities",
        ),
        pytest.param(
            {"tls": {"caConfigMap": {"name": "b"}, "insecureSkipVerify": True}},
            "prometheus.tls: found insecureSkipVerify beside authorities",
            id="verified-and-not",
        ),
        *(
            pytest.param(
                {"url": "http://p:9090", "tls": tls},
                "prometheus.tls: needs a prometheus.url with https://",
                id=name,
            )
            for name, tls in {
                "plain-and-ca": {"caSecret": {"name": "a"}},
                "plain-and-certificate": {"certSecret": {"name": "a"}},
                "plain-and-unverified": {"insecureSkipVerify": True},
            }.items()
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(render: Render, prometheus: Document, said: str) -> None:
    with pytest.raises(helm.HelmRenderError, match=re.escape(said)):
        render({"prometheus": {"url": "https://p.example.org", **prometheus}})


def test_namespaces_are_named_in_one_place(render: Render) -> None:
    with pytest.raises(helm.HelmRenderError, match="watchNamespace: found beside watchNamespaces; set one"):
        render({"watchNamespace": "shop", "watchNamespaces": ["cart"]})


def test_the_same_series_are_not_scraped_twice(render: Render) -> None:
    both = {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}
    with pytest.raises(helm.HelmRenderError, match="serviceMonitor and podMonitor: found both enabled"):
        render(both)


def test_the_chart_may_be_part_of_another_one(render: Render) -> None:
    assert render({"global": {"theirs": True}}) == render()


def test_the_schema_knows_exactly_the_values_that_there_are(chart: helm.Chart) -> None:
    assert chart.schema is not None
    described = {path for path in _properties(chart.schema) if path != "global"}
    there = set(_fields(chart.values, chart.schema))
    assert there == described


def test_every_value_is_explained(chart: helm.Chart, folder: Path, manifests: ModuleType) -> None:
    """By a comment of its own, or of the value that it is a part of."""
    assert chart.schema is not None
    told = {path: text for path, _, text in manifests.described(folder)}
    silent = [
        path
        for path in _fields(chart.values, chart.schema)
        if not any(path == each or path.startswith(f"{each}.") for each in told)
    ]
    assert silent == []
    assert [path for path, text in told.items() if not text.endswith((".", ":", "`"))] == []


def test_the_notes_warn_where_nothing_can_be_judged(chart: helm.Chart) -> None:
    warning = "prometheus.url is not set"
    assert warning in _notes(chart, {})
    assert warning not in _notes(chart, {"prometheus": {"url": "http://prometheus:9090"}})


def test_the_notes_say_which_canaries_are_looked_after(chart: helm.Chart) -> None:
    assert "Canaries of all namespaces." in _notes(chart, {})
    assert "Canaries of namespace shop." in _notes(chart, {"watchNamespace": "shop"})


def test_the_notes_say_how_to_stop_all_releases(chart: helm.Chart) -> None:
    command = "kubectl --namespace crossfade-system create configmap freeze "
    assert command in _notes(chart, {"stopConfigMap": "freeze"})
    assert "create configmap" not in _notes(chart, {"stopConfigMap": ""})


@pytest.mark.parametrize(
    ("release", "name"),
    [
        pytest.param("crossfade", "crossfade", id="the-usual"),
        pytest.param("blue-crossfade", "blue-crossfade", id="says-it-already"),
        pytest.param("blue", "blue-crossfade", id="says-something-else"),
        pytest.param("b" * 53, "b" * 53 + "-crossfade", id="longest"),
    ],
)
def test_objects_are_named_after_the_release(render: Render, release: str, name: str) -> None:
    documents = render(release=release)
    inside = [
        document["metadata"]
        for document in documents
        if "namespace" in document["metadata"] and "Role" not in document["kind"]
    ]
    assert {(metadata["namespace"], metadata["name"]) for metadata in inside} == {("crossfade-system", name)}
    assert Counter(document["kind"] for document in documents) == {
        "ClusterRole": 2,
        "ClusterRoleBinding": 2,
        "ConfigMap": 1,
        "Deployment": 1,
        "Role": 1,
        "RoleBinding": 1,
        "Service": 1,
        "ServiceAccount": 1,
    }


@pytest.mark.parametrize(
    ("release", "name"),
    [
        pytest.param("blue", "blue-rollouts", id="added"),
        pytest.param("rollouts", "rollouts", id="says-it-already"),
        pytest.param("crossfade", "crossfade-rollouts", id="not-the-chart's"),
    ],
)
def test_another_name_takes_the_place_of_the_charts(render: Render, release: str, name: str) -> None:
    (deployment,) = [
        each for each in render({"nameOverride": "rollouts"}, release) if each["kind"] == "Deployment"
    ]
    assert deployment["metadata"]["name"] == name
    assert deployment["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "rollouts",
        "app.kubernetes.io/instance": release,
    }


def _notes(chart: helm.Chart, values: Document) -> str:
    texts = chart.render(IMAGE | values, name="crossfade", namespace="crossfade-system")
    return texts["crossfade/templates/NOTES.txt"]


def _properties(schema: Document, at: str = "") -> Iterator[str]:
    """Give the paths of what the schema describes, without what is inside of open objects."""
    for name, below in _known(schema).items():
        yield from _properties(below, f"{at}{name}.") if _known(below) else [f"{at}{name}"]


def _fields(values: Mapping[str, Any], schema: Document, at: str = "") -> Iterator[str]:
    for name, value in values.items():
        below = _known(schema).get(name, {})
        yield from _fields(value, below, f"{at}{name}.") if _known(below) else [f"{at}{name}"]


def _known(schema: Document) -> Document:
    """Give the fields of an object, also where the schema refers to a definition."""
    name = schema.get("$ref", "").removeprefix("#/definitions/")
    found: Document = (DEFINITIONS[name] if name else schema).get("properties", {})
    return found
