"""The pod runs the process as it is: arguments, variables, probes; and has few rights on its node."""

import datetime as dt
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic.alias_generators import to_camel
from starlette.routing import Route

from config.settings import PREFIX, Settings, load_settings
from controller.telemetry.http import Probes, application


Document = dict[str, Any]
Rendered = Callable[..., Document]
Render = Callable[..., list[Document]]

SCHEMA = json.loads((Path(__file__).parents[2] / "helm/crossfade/values.schema.json").read_text())[
    "properties"
]
PRESETS = {
    "shop-errors": {
        "ratio": {"bad": 'failed{v="{{ version }}"} # "}"', "total": 'served{v="{{ version }}"}'},
        "max": "1%",
    },
    "queue": {"query": "max(queue{x='{{ team }}'})\n  or vector(0)", "max": 1e9},
}
EVERY_VALUE = {
    "prometheus": {
        "url": "https://prometheus.example.org/base",
        "timeout": "1m30s",
        "headers": {"X-Scope-OrgID": 'the "shop"'},
        "auth": {"bearerTokenSecret": {"name": "reader"}},
        "tls": {"caSecret": {"name": "authorities"}, "certSecret": {"name": "ours"}},
    },
    "watchNamespaces": ["shop", "cart"],
    "canarySelector": "team in (shop, cart),!frozen",
    "allowedNamespaces": ["gloo-system", "edge"],
    "tenancy": "strict",
    "stopConfigMap": "freeze",
    "log": {"format": "console", "level": "debug"},
    "workers": 3,
    "presets": PRESETS,
    "leaderElection": {"enabled": True, "leaseDuration": "30s", "renewWithin": "20s", "retry": "500ms"},
}
OTHERWISE = {
    "prometheus": {
        "url": "https://prometheus.example.org",
        "auth": {"basicSecret": {"name": "reader"}},
        "tls": {"insecureSkipVerify": True},
    }
}
STOP = "crossfade-system/crossfade-stop"
FILES = "/etc/crossfade/prometheus"


@pytest.mark.parametrize(
    ("values", "settings"),
    [
        pytest.param({}, {"log_format": "json", "stop_configmap": STOP}, id="defaults"),
        pytest.param(
            EVERY_VALUE,
            {
                "prometheus_url": "https://prometheus.example.org/base",
                "prometheus_timeout": dt.timedelta(seconds=90),
                "prometheus_headers": {"X-Scope-OrgID": 'the "shop"'},
                "prometheus_bearer_token_file": f"{FILES}/token/token",
                "prometheus_ca_file": f"{FILES}/ca/ca.crt",
                "prometheus_cert_file": f"{FILES}/cert/tls.crt",
                "prometheus_key_file": f"{FILES}/cert/tls.key",
                "namespace": "shop,cart",
                "selector": "team in (shop, cart),!frozen",
                "allowed_namespaces": "gloo-system,edge",
                "tenancy": "strict",
                "stop_configmap": "crossfade-system/freeze",
                "log_format": "console",
                "log_level": "debug",
                "workers": 3,
                "presets": PRESETS,
                "leader_election": True,
                "lease_name": "crossfade",
                "lease_namespace": "crossfade-system",
                "lease_duration": dt.timedelta(seconds=30),
                "lease_renew_within": dt.timedelta(seconds=20),
                "lease_retry": dt.timedelta(milliseconds=500),
            },
            id="every-value",
        ),
        pytest.param(
            OTHERWISE,
            {
                "log_format": "json",
                "stop_configmap": STOP,
                "prometheus_url": "https://prometheus.example.org",
                "prometheus_username": "reader/username",
                "prometheus_password_file": f"{FILES}/basic/password",
                "prometheus_insecure_skip_verify": True,
            },
            id="other-values",
        ),
    ],
)
def test_the_process_reads_what_the_values_say(
    render: Render, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: Document, settings: Document
) -> None:
    for name in ("config", *Settings.model_fields):
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    expected = load_settings(listen_host="0.0.0.0", **settings)  # noqa: S104  # the pod's own network
    documents = render(values)
    for name, value in _variables(_deployment(documents)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CROSSFADE_CONFIG", str(_mounted(documents, tmp_path)))
    assert load_settings() == expected


def test_every_setting_but_a_kubeconfig_can_be_made(render: Render) -> None:
    made = set()
    for documents in (render(EVERY_VALUE), render(OTHERWISE)):
        made |= set(_variables(_deployment(documents))) - {"CROSSFADE_CONFIG"}
        made |= set(yaml.safe_load(_settings(documents)))
    in_the_clear = {"prometheusBearerToken", "prometheusPassword"}
    settings = {to_camel(name) for name in Settings.model_fields} - in_the_clear
    user = {"prometheusUsername"}
    assert made - {"CROSSFADE_PROMETHEUS_USERNAME"} == settings - user - {"kubeconfig", "context"}
    assert "CROSSFADE_PROMETHEUS_USERNAME" in made


def test_other_settings_make_other_pods(deployment: Rendered) -> None:
    def checksum(values: Document) -> str:
        annotations: dict[str, str] = deployment(values)["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/settings"]

    assert checksum({}) == checksum({"service": {"annotations": {"a": "b"}}})
    others = ({"workers": 9}, {"watchNamespace": "shop"}, {"replicaCount": 2})
    assert len({checksum(values) for values in ({}, *others)}) == 4
    assert checksum({}) == checksum({"podAnnotations": {"checksum/settings": "mine"}})
    assert checksum({}) == checksum({"presets": PRESETS}), "a running controller takes them over"


@pytest.mark.parametrize(
    ("prometheus", "mounted"),
    [
        pytest.param(
            {"auth": {"bearerTokenSecret": {"name": "reader"}}},
            {"token/token": ("reader", "token")},
            id="token",
        ),
        pytest.param(
            {"auth": {"basicSecret": {"name": "reader", "passwordKey": "word"}}},
            {"basic/password": ("reader", "word")},
            id="basic",
        ),
        pytest.param(
            {"tls": {"caSecret": {"name": "ours", "key": "ca.pem"}}},
            {"ca/ca.crt": ("ours", "ca.pem")},
            id="ca",
        ),
        pytest.param(
            {"tls": {"caConfigMap": {"name": "kube-root-ca.crt"}}},
            {"ca/ca.crt": ("kube-root-ca.crt", "ca.crt")},
            id="ca-configmap",
        ),
        pytest.param(
            {"tls": {"certSecret": {"name": "ours", "certKey": "c", "keyKey": "k"}}},
            {"cert/tls.crt": ("ours", "c"), "cert/tls.key": ("ours", "k")},
            id="certificate",
        ),
    ],
)
def test_secrets_are_mounted_where_the_process_looks(
    render: Render, prometheus: Document, mounted: dict[str, tuple[str, str]]
) -> None:
    documents = render({"prometheus": {"url": "https://p.example.org", **prometheus}})
    rendered = _deployment(documents)
    volumes = {volume.pop("name"): volume for volume in rendered["spec"]["template"]["spec"]["volumes"]}
    assert volumes.pop("settings") == {"configMap": {"name": "crossfade"}}
    found = {}
    for mount in _container(rendered)["volumeMounts"][1:]:
        assert mount["readOnly"] is True
        assert "subPath" not in mount, "the file would not follow the Secret"
        ((kind, source),) = volumes.pop(mount["name"]).items()
        for item in source["items"]:
            name = source["secretName"] if kind == "secret" else source["name"]
            found[f"{mount['mountPath']}/{item['path']}"] = (name, item["key"])
    assert found == {f"{FILES}/{path}": source for path, source in mounted.items()}
    assert volumes == {}
    settings = yaml.safe_load(_settings(documents))
    paths = {value for name, value in settings.items() if name.endswith("File")}
    assert paths == set(found)


@given(
    url=st.from_regex(SCHEMA["prometheus"]["properties"]["url"]["pattern"], fullmatch=True).filter(
        lambda url: "[" not in url  # not every text of this form is an address of IPv6
    ),
    namespace=st.from_regex(SCHEMA["watchNamespace"]["pattern"], fullmatch=True).filter(
        lambda name: len(name) <= SCHEMA["watchNamespace"]["maxLength"]
    ),
    timeout=st.from_regex(SCHEMA["prometheus"]["properties"]["timeout"]["pattern"], fullmatch=True).filter(
        lambda text: len(text) <= SCHEMA["prometheus"]["properties"]["timeout"]["maxLength"]
    ),
    level=st.sampled_from(SCHEMA["log"]["properties"]["level"]["enum"]),
    style=st.sampled_from(SCHEMA["log"]["properties"]["format"]["enum"]),
    workers=st.sampled_from([SCHEMA["workers"]["minimum"], SCHEMA["workers"]["maximum"]]),
)
def test_what_the_schema_lets_through_the_process_can_use(
    url: str, namespace: str, timeout: str, level: str, style: str, workers: int
) -> None:
    load_settings(
        prometheus_url=url or None,
        prometheus_timeout=timeout,
        namespace=namespace,
        log_level=level,
        log_format=style,
        workers=str(workers),
    )


def test_crossfade_knows_its_arguments(deployment: Rendered) -> None:
    command = [sys.executable, "-m", "controller", *_container(deployment())["args"], "--help"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def test_the_probes_are_sent_where_the_process_answers(render: Render, deployment: Rendered) -> None:
    answered = application(Probes(alive=lambda: True, unready=lambda: (), metrics=lambda: b"")).routes
    container = _container(deployment())
    probes = [container[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")]
    assert [probe["path"] for probe in probes] == ["/healthz", "/readyz"]
    assert {probe["path"] for probe in probes} <= {
        route.path for route in answered if isinstance(route, Route)
    }
    (port,) = container["ports"]
    assert {probe["port"] for probe in probes} == {port["name"]}
    assert port["containerPort"] == yaml.safe_load(_settings(render()))["listenPort"]


def test_the_service_leads_to_the_pod(render: Render, deployment: Rendered) -> None:
    (service,) = [document["spec"] for document in render() if document["kind"] == "Service"]
    pod = deployment()["spec"]["template"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert deployment()["spec"]["selector"]["matchLabels"] == service["selector"]
    assert {port["targetPort"] for port in service["ports"]} == {_container(deployment())["ports"][0]["name"]}


def test_an_image_may_be_private(deployment: Rendered) -> None:
    secrets = [{"name": "registry"}]
    assert (
        deployment({"imagePullSecrets": secrets})["spec"]["template"]["spec"]["imagePullSecrets"] == secrets
    )
    assert "imagePullSecrets" not in deployment()["spec"]["template"]["spec"]


def test_amounts_are_what_the_values_say(deployment: Rendered) -> None:
    amounts = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    assert _container(deployment({"resources": amounts}))["resources"] == amounts


def _deployment(documents: list[Document]) -> Document:
    (found,) = [document for document in documents if document["kind"] == "Deployment"]
    return found


def _settings(documents: list[Document]) -> str:
    """Give the settings file."""
    (found,) = [document for document in documents if "settings.yaml" in document.get("data", {})]
    text: str = found["data"]["settings.yaml"]
    return text


def _mounted(documents: list[Document], folder: Path) -> Path:
    """Write what the volume of the settings holds, as the kubelet does; give the file that is named."""
    deployment = _deployment(documents)
    (mount,) = [each for each in _container(deployment)["volumeMounts"] if each["name"] == "settings"]
    (volume,) = [
        each for each in deployment["spec"]["template"]["spec"]["volumes"] if each["name"] == "settings"
    ]
    (found,) = [
        document["data"]
        for document in documents
        if document["kind"] == "ConfigMap" and document["metadata"]["name"] == volume["configMap"]["name"]
    ]
    for name, text in found.items():
        (folder / name).write_text(text)
    return folder / Path(_variables(deployment)["CROSSFADE_CONFIG"]).relative_to(mount["mountPath"])


def _container(deployment: Document) -> Document:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    found: Document = container
    return found


def _variables(deployment: Document) -> dict[str, str]:
    """Give the environment; what comes from a Secret as `secret/key`."""
    return {
        variable["name"]: "/".join(variable["valueFrom"]["secretKeyRef"][part] for part in ("name", "key"))
        if "valueFrom" in variable
        else variable["value"]
        for variable in _container(deployment)["env"]
    }
