"""What a value switches on is there, reaches the controller, and is as restricted as all the rest."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.telemetry.http import Probes, Server


Document = dict[str, Any]
Render = Callable[..., list[Document]]
Rendered = Callable[..., Document]
ValuesOf = Callable[[str], Document]

FILES = sorted(path.stem for path in (Path(__file__).parent / "values").glob("*.yaml"))
VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}
"""Kinds of volumes that the Pod Security Standard `restricted` allows."""
OFF_BY_DEFAULT = {
    "serviceMonitor": "ServiceMonitor",
    "podMonitor": "PodMonitor",
    "prometheusRule": "PrometheusRule",
    "networkPolicy": "NetworkPolicy",
    "podDisruptionBudget": "PodDisruptionBudget",
}


@pytest.mark.parametrize("name", ["", *(name for name in FILES if name != "everything-off")])
def test_every_pod_passes_the_restricted_standard(render_all: Render, values_of: ValuesOf, name: str) -> None:
    pods = list(_pods(render_all(values_of(name) if name else {})))
    assert len(pods) == 2
    for pod in pods:
        assert list(_violations(pod)) == []
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_a_pod_that_is_not_restricted_would_be_found(deployment: Rendered) -> None:
    good = deployment()["spec"]["template"]["spec"]

    def found(change: Callable[[Document, Document], object]) -> list[str]:
        pod = deepcopy(good)
        change(pod, pod["containers"][0]["securityContext"])
        return list(_violations(pod))

    assert found(lambda pod, _: pod.update(hostNetwork=True)) == ["hostNetwork"]
    assert found(lambda pod, _: pod.update(hostPID=True)) == ["hostPID"]
    assert found(lambda pod, _: pod["volumes"].append({"name": "a", "hostPath": {}})) == ["volume hostPath"]
    assert found(lambda pod, _: pod["securityContext"].pop("runAsNonRoot")) == ["runAsNonRoot"]
    assert found(lambda pod, _: pod["securityContext"].update(runAsUser=0)) == ["runAsUser"]
    assert found(lambda pod, _: pod["securityContext"].pop("seccompProfile")) == ["seccompProfile"]
    assert found(lambda pod, _: pod["securityContext"].update(sysctls=[{}])) == ["sysctls"]
    assert found(lambda _, own: own.update(privileged=True)) == ["privileged"]
    assert found(lambda _, own: own.pop("allowPrivilegeEscalation")) == ["allowPrivilegeEscalation"]
    assert found(lambda _, own: own["capabilities"].pop("drop")) == ["capabilities.drop"]
    assert found(lambda _, own: own["capabilities"].update(add=["SYS_TIME"])) == ["capabilities.add"]
    assert found(lambda _, own: own.update(runAsNonRoot=False)) == ["runAsNonRoot"]
    assert found(lambda pod, _: pod["containers"][0]["ports"][0].update(hostPort=80)) == ["hostPort"]
    assert found(lambda pod, _: pod.update(initContainers=[{"name": "a"}])) == [
        "allowPrivilegeEscalation",
        "capabilities.drop",
    ]


@pytest.mark.parametrize(("value", "kind"), OFF_BY_DEFAULT.items())
def test_what_is_not_needed_is_off_until_its_value_says_so(render: Render, value: str, kind: str) -> None:
    assert kind not in {document["kind"] for document in render()}
    (found,) = _of_kind(render({value: {"enabled": True}}), kind)
    assert found["metadata"]["name"] == "crossfade"
    assert found["metadata"]["namespace"] == "crossfade-system"


def test_one_replica_ends_before_the_next_begins(deployment: Rendered) -> None:
    spec = deployment()["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert "topologySpreadConstraints" not in spec["template"]["spec"]


@pytest.mark.parametrize(
    ("values", "replicas"),
    [
        pytest.param({"replicaCount": 2}, 2, id="two"),
        pytest.param({"leaderElection": {"enabled": True}}, 1, id="one-that-elects"),
    ],
)
def test_controllers_that_elect_stand_by_before_the_leader_is_ended(
    render: Render, values: Document, replicas: int
) -> None:
    documents = render(values)
    (deployment,) = _of_kind(documents, "Deployment")
    assert deployment["spec"]["replicas"] == replicas
    assert deployment["spec"]["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    (settings,) = [document["data"] for document in documents if document["kind"] == "ConfigMap"]
    lease = yaml.safe_load(settings["settings.yaml"])
    assert (lease["leaderElection"], lease["leaseNamespace"]) == (True, "crossfade-system")
    (role,) = [
        document
        for document in _of_kind(documents, "Role")
        if document["metadata"]["name"].endswith(":leader-election")
    ]
    named, made = role["rules"]
    assert (named["resourceNames"], named["verbs"]) == ([lease["leaseName"]], ["get", "update"])
    assert made["verbs"] == ["create"]
    assert role["metadata"]["namespace"] == lease["leaseNamespace"]


def test_who_elects_nobody_asks_for_no_lease(render: Render) -> None:
    assert "lease" not in json.dumps(render()).lower().replace("release", "")


def test_several_replicas_are_spread_over_nodes_if_possible(deployment: Rendered) -> None:
    pod = deployment({"replicaCount": 2})["spec"]["template"]
    (constraint,) = pod["spec"]["topologySpreadConstraints"]
    assert constraint["whenUnsatisfiable"] == "ScheduleAnyway"
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_a_spread_of_ones_own_replaces_that(deployment: Rendered) -> None:
    own = {"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    selector = {"labelSelector": {"matchLabels": {"a": "b"}}}
    given = [own, {**own, **selector}]
    spec = deployment({"replicaCount": 2, "topologySpreadConstraints": given})["spec"]
    first, second = spec["template"]["spec"]["topologySpreadConstraints"]
    assert first == {**own, "labelSelector": spec["selector"]}
    assert second == {**own, **selector}


@pytest.mark.parametrize("name", FILES)
def test_whatever_selects_the_pods_finds_them_and_not_the_test(
    render_all: Render, values_of: ValuesOf, name: str
) -> None:
    """Also where somebody's labels have the same names as ours."""
    documents = render_all(values_of(name))
    (deployment,) = _of_kind(documents, "Deployment")
    (tester,) = _of_kind(documents, "Pod")
    selectors = [deployment["spec"]["selector"]["matchLabels"]]
    selectors += [document["spec"]["selector"] for document in _of_kind(documents, "Service")]
    for document in _of_kind(documents, "NetworkPolicy"):
        selectors.append(document["spec"]["podSelector"]["matchLabels"])
    for document in _of_kind(documents, "PodDisruptionBudget"):
        selectors.append(document["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
        assert not selector.items() <= tester["metadata"]["labels"].items()


def test_the_monitor_finds_the_service_and_its_port(render: Render, values_of: ValuesOf) -> None:
    documents = render(values_of("everything-on"))
    (service,) = _of_kind(documents, "Service")
    (monitor,) = _of_kind(documents, "ServiceMonitor")
    spec = monitor["spec"]
    assert spec["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert spec["namespaceSelector"]["matchNames"] == [service["metadata"]["namespace"]]
    (endpoint,) = spec["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert (endpoint["path"], endpoint["interval"], endpoint["scrapeTimeout"]) == ("/metrics", "15s", "5s")
    assert endpoint["honorLabels"] is True, "the series' namespace is the Canary's"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_other_monitor_finds_the_pods_and_asks_the_same(
    render: Render, values_of: ValuesOf, deployment: Rendered
) -> None:
    (monitor,) = _of_kind(render(values_of("pod-monitor")), "PodMonitor")
    template = deployment(values_of("pod-monitor"))["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"]["matchNames"] == [monitor["metadata"]["namespace"]]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in template["spec"]["containers"][0]["ports"]}
    (other,) = _of_kind(render(values_of("everything-on")), "ServiceMonitor")
    assert [endpoint] == other["spec"]["endpoints"]


def test_the_alerts_are_the_file_as_it_is(render: Render, folder: Path) -> None:
    (rule,) = _of_kind(render({"prometheusRule": {"enabled": True}}), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load((folder / "alerts" / "crossfade.yaml").read_text())
    assert rule["spec"]["groups"]


def test_the_dashboard_is_the_file_as_it_is(render: Render, folder: Path) -> None:
    documents = render({"dashboard": {"enabled": True}})
    (found,) = [document for document in documents if document["metadata"]["name"] == "crossfade-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["crossfade.json"]) == json.loads(
        (folder / "dashboards" / "crossfade.json").read_text()
    )


@pytest.mark.parametrize(
    ("prometheus", "policy", "port"),
    [
        pytest.param("http://prometheus.monitoring:9090", {}, 9090, id="written"),
        pytest.param("http://prometheus.monitoring", {}, 80, id="http"),
        pytest.param("https://prometheus.example.org/base", {}, 443, id="https"),
        pytest.param("https://[fd00::9]:9443/base", {}, 9443, id="ipv6"),
        pytest.param("http://[fd00::9]", {}, 80, id="ipv6-without-port"),
        pytest.param("http://prometheus:80", {"prometheusPort": 9090}, 9090, id="behind-a-service"),
    ],
)
def test_the_policy_lets_the_controller_out_to_prometheus(
    render: Render, prometheus: str, policy: Document, port: int
) -> None:
    values = {"prometheus": {"url": prometheus}, "networkPolicy": {"enabled": True, **policy}}
    (found,) = _of_kind(render(values), "NetworkPolicy")
    assert _reachable(found) == [[53, 53], [443, 6443], [port]]


def test_without_prometheus_the_policy_lets_nobody_out_to_it(render: Render) -> None:
    (found,) = _of_kind(
        render({"networkPolicy": {"enabled": True, "apiServerPorts": [8443]}}), "NetworkPolicy"
    )
    assert _reachable(found) == [[53, 53], [8443]]
    (entry,) = found["spec"]["ingress"]
    assert entry == {"ports": [{"port": "http", "protocol": "TCP"}]}


def test_the_policy_lets_in_who_is_named_and_the_test(render_all: Render) -> None:
    peer = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}
    values = {
        "prometheus": {"url": "http://p:9090"},
        "networkPolicy": {
            "enabled": True,
            "from": [peer],
            "prometheusTo": [peer],
            "extraEgress": [{"to": [peer]}],
        },
    }
    documents = render_all(values)
    (policy,) = _of_kind(documents, "NetworkPolicy")
    (tester,) = _of_kind(documents, "Pod")
    (entry,) = policy["spec"]["ingress"]
    first, second = entry["from"]
    assert first == peer
    assert second["podSelector"]["matchLabels"].items() <= tester["metadata"]["labels"].items()
    assert policy["spec"]["egress"][-2]["to"] == [peer]
    assert policy["spec"]["egress"][-1] == {"to": [peer]}


def test_a_budget_never_stops_a_drain_for_good(render: Render) -> None:
    (budget,) = _of_kind(render({"podDisruptionBudget": {"enabled": True}}), "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1
    assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_an_account_of_ones_own_gets_the_rights(render: Render) -> None:
    documents = render({"serviceAccount": {"create": False, "name": "theirs"}, "replicaCount": 2})
    assert _of_kind(documents, "ServiceAccount") == []
    (deployment,) = _of_kind(documents, "Deployment")
    assert deployment["spec"]["template"]["spec"]["serviceAccountName"] == "theirs"
    bound = [document for document in documents if document["kind"].endswith("RoleBinding")]
    assert len(bound) == 4
    assert {subject["name"] for binding in bound for subject in binding["subjects"]} == {"theirs"}


def test_rights_may_be_granted_by_somebody_else(render: Render) -> None:
    documents = render({"rbac": {"create": False}, "replicaCount": 2})
    assert sorted(document["kind"] for document in documents) == [
        *("ConfigMap", "Deployment", "Service", "ServiceAccount")
    ]


def test_a_switch_that_nobody_wants_needs_no_rights(render: Render) -> None:
    documents = render({"stopConfigMap": ""})
    assert "Role" not in {document["kind"] for document in documents}
    (settings,) = _of_kind(documents, "ConfigMap")
    assert "stopConfigmap" not in yaml.safe_load(settings["data"]["settings.yaml"])


def test_the_switch_is_the_configmap_that_may_be_watched(render: Render) -> None:
    documents = render({"stopConfigMap": "freeze"})
    (role,) = _of_kind(documents, "Role")
    (settings,) = _of_kind(documents, "ConfigMap")
    (rule,) = role["rules"]
    address = f"{role['metadata']['namespace']}/{rule['resourceNames'][0]}"
    assert yaml.safe_load(settings["data"]["settings.yaml"])["stopConfigmap"] == address


def test_labels_for_everything_are_on_everything(render_all: Render) -> None:
    labels = {"team": "platform", "app.kubernetes.io/name": "theirs"}
    documents = [
        document
        for document in render_all({**EVERY_OBJECT, "commonLabels": labels})
        if document["metadata"]["name"] != "mine"
    ]
    assert {document["metadata"]["labels"]["team"] for document in documents} == {"platform"}
    assert "theirs" not in json.dumps(documents)


def test_annotations_for_everything_are_on_everything_below_those_of_its_own(render_all: Render) -> None:
    common = {"owner": "platform", "helm.sh/hook": "theirs", "note": "common"}
    values = {**EVERY_OBJECT, "commonAnnotations": common, "deploymentAnnotations": {"note": "own"}}
    found = {
        (each["kind"], each["metadata"]["name"]): each["metadata"].get("annotations", {})
        for each in render_all(values)
        if each["metadata"]["name"] != "mine"
    }
    assert {annotations["owner"] for annotations in found.values()} == {"platform"}
    assert found["Pod", "crossfade-test"]["helm.sh/hook"] == "test"
    assert found["Deployment", "crossfade"]["note"] == "own"
    assert found["Service", "crossfade"]["note"] == "common"


def test_without_annotations_there_is_no_field_for_them(render: Render) -> None:
    assert [each["kind"] for each in render() if "annotations" in each["metadata"]] == []


def test_what_is_given_for_the_pod_is_there(deployment: Rendered, values_of: ValuesOf) -> None:
    values = values_of("everything-on")
    found = deployment(values)
    template = found["spec"]["template"]
    pod, (container,) = template["spec"], template["spec"]["containers"]
    for name in (
        *("affinity", "imagePullSecrets", "nodeSelector", "priorityClassName", "tolerations"),
        "terminationGracePeriodSeconds",
    ):
        assert pod[name] == values[name]
    assert found["metadata"]["annotations"] == values["commonAnnotations"] | values["deploymentAnnotations"]
    assert values["podAnnotations"].items() <= template["metadata"]["annotations"].items()
    assert template["metadata"]["labels"]["tier"] == "control"
    assert container["args"] == ["run", *values["extraArgs"]]
    assert container["env"][-2:] == values["extraEnv"]
    assert container["envFrom"] == values["extraEnvFrom"]
    assert pod["volumes"][-1:] == values["extraVolumes"]
    assert container["volumeMounts"][-1:] == values["extraVolumeMounts"]
    assert container["livenessProbe"]["failureThreshold"] == 5
    assert container["livenessProbe"]["periodSeconds"] == 10


def test_another_user_may_be_left_to_openshift(deployment: Rendered) -> None:
    values = {"podSecurityContext": {"runAsUser": None, "runAsGroup": None}}
    pod = deployment(values)["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert list(_violations(pod)) == []


def test_objects_of_ones_own_know_the_release(render: Render, values_of: ValuesOf) -> None:
    (found,) = [each for each in render(values_of("everything-on")) if each.get("data") == {"a": "b"}]
    assert found["metadata"] == {"name": "crossfade-more", "namespace": "crossfade-system"}


@pytest.mark.parametrize(
    ("reasons", "code", "said"),
    [
        pytest.param((), 0, "200 ok\n", id="ready"),
        pytest.param(("deployments.apps: 403",), 1, "503 deployments.apps: 403\n", id="unready"),
    ],
)
def test_helm_test_asks_the_controller_and_tells_what_it_says(
    render_all: Render, reasons: tuple[str, ...], code: int, said: str
) -> None:
    (pod,) = _of_kind(render_all(), "Pod")
    assert pod["metadata"]["annotations"]["helm.sh/hook"] == "test"
    (container,) = pod["spec"]["containers"]
    python, *arguments, url = container["command"]
    assert (python, url) == ("python", "http://crossfade.crossfade-system:8080/readyz")
    server = Server(Probes(lambda: True, lambda: reasons, lambda: b""), "127.0.0.1", 0)
    server.start()
    try:
        here = url.replace("crossfade.crossfade-system:8080", f"127.0.0.1:{server.port}")
        command = [sys.executable, *arguments, here]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    finally:
        server.stop()
    assert (done.returncode, done.stdout) == (code, said)


EVERY_OBJECT = {
    "replicaCount": 2,
    "dashboard": {"enabled": True},
    "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}],
    **{name: {"enabled": True} for name in OFF_BY_DEFAULT if name != "podMonitor"},
}


def _of_kind(documents: list[Document], kind: str) -> list[Document]:
    return [document for document in documents if document["kind"] == kind]


def _reachable(policy: Document) -> list[list[int]]:
    return [[port["port"] for port in rule["ports"]] for rule in policy["spec"]["egress"]]


def _pods(documents: list[Document]) -> Iterator[Document]:
    for document in documents:
        if document["kind"] == "Pod":
            yield document["spec"]
        elif document["kind"] in ("Deployment", "Job"):
            yield document["spec"]["template"]["spec"]


def _violations(pod: Document) -> Iterator[str]:
    """Name what the Pod Security Standard `restricted` forbids."""
    own = pod.get("securityContext", {})
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    if own.get("sysctls"):
        yield "sysctls"
    for volume in pod.get("volumes", []):
        yield from (f"volume {kind}" for kind in sorted(set(volume) - {"name"} - VOLUMES))
    for container in itertools.chain(pod.get("initContainers", []), pod["containers"]):
        yield from _violations_of(container, own)


def _violations_of(container: Document, inherited: Document) -> Iterator[str]:
    own = container.get("securityContext", {})
    both = inherited | own
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if both.get("runAsUser") == 0:
        yield "runAsUser"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities.drop"
    if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"
