"""What somebody meets who installs the chart: its values, its messages, its names."""

import importlib.metadata
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest

from config.crd import as_yaml


Document = dict[str, Any]
Render = Callable[..., list[Document]]

IMAGE = {"image": {"repository": "registry.example.org/crossfade"}}
WARNING = 2


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
        pytest.param({"log": {"level": "warn"}}, "'/log/level': value must be one of", id="level"),
        pytest.param({"log": {"format": "text"}}, "'/log/format': value must be one of", id="format"),
        pytest.param({"workers": 0}, "'/workers': minimum: got 0, want 1", id="no-workers"),
        pytest.param({"workers": 65}, "'/workers': maximum: got 65, want 64", id="many-workers"),
        pytest.param({"workers": "8"}, "'/workers': got string, want integer", id="workers-text"),
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


def test_the_chart_may_be_part_of_another_one(render: Render) -> None:
    assert render({"global": {"theirs": True}}) == render()


def test_the_schema_knows_exactly_the_values_that_there_are(chart: helm.Chart) -> None:
    assert chart.schema is not None
    described = {path for path in _properties(chart.schema) if path != "global"}
    there = set(_fields(chart.values, chart.schema))
    assert there == described


def test_every_value_is_explained(folder: Path) -> None:
    lines = (folder / "values.yaml").read_text().splitlines()
    values = [at for at, line in enumerate(lines) if re.match(r" *\w+: \S", line)]
    resources = lines.index("resources:")
    for at in [*(at for at in values if at < resources), resources]:
        above = next(line.strip() for line in reversed(lines[:at]) if not re.match(r" *# (?!--)", line))
        assert above.startswith("# -- "), lines[at]


def test_the_notes_warn_where_nothing_can_be_judged(chart: helm.Chart) -> None:
    warning = "prometheus.url is not set"
    assert warning in _notes(chart, {})
    assert warning not in _notes(chart, {"prometheus": {"url": "http://prometheus:9090"}})


def test_the_notes_say_which_canaries_are_looked_after(chart: helm.Chart) -> None:
    assert "Canaries of all namespaces." in _notes(chart, {})
    assert "Canaries of namespace shop." in _notes(chart, {"watchNamespace": "shop"})


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
    inside = [document["metadata"] for document in documents if "namespace" in document["metadata"]]
    assert {(metadata["namespace"], metadata["name"]) for metadata in inside} == {("crossfade-system", name)}
    assert Counter(document["kind"] for document in documents) == {
        "ClusterRole": 2,
        "ClusterRoleBinding": 2,
        "Deployment": 1,
        "Service": 1,
        "ServiceAccount": 1,
    }


def _notes(chart: helm.Chart, values: Document) -> str:
    texts = chart.render(IMAGE | values, name="crossfade", namespace="crossfade-system")
    return texts["crossfade/templates/NOTES.txt"]


def _properties(schema: Document, at: str = "") -> Iterator[str]:
    """Give the paths of what the schema describes, without what is inside of open objects."""
    for name, below in schema.get("properties", {}).items():
        yield from _properties(below, f"{at}{name}.") if "properties" in below else [f"{at}{name}"]


def _fields(values: Mapping[str, Any], schema: Document, at: str = "") -> Iterator[str]:
    for name, value in values.items():
        below = schema.get("properties", {}).get(name, {})
        yield from _fields(value, below, f"{at}{name}.") if "properties" in below else [f"{at}{name}"]
