"""Real kubectl, unmodified, doing what people do with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml


if TYPE_CHECKING:
    from sandbox.apiserver.documents import Object
    from sandbox.apiserver.testing import ApiServer


_WEB = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
        - name: web
          image: web:1
          ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""
_ROADS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: roads.kubectl.example.io}
spec:
  group: kubectl.example.io
  scope: Namespaced
  names: {plural: roads, kind: Road, shortNames: [rd], categories: [ways]}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      additionalPrinterColumns:
        - {name: Lanes, type: integer, jsonPath: .spec.lanes}
        - {name: Surface, type: string, jsonPath: .spec.surface, priority: 1}
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [lanes]
              properties:
                lanes: {type: integer, minimum: 1}
                surface: {type: string, default: asphalt}
            status:
              type: object
              properties:
                conditions:
                  type: array
                  items:
                    type: object
                    properties: {type: {type: string}, status: {type: string}}
"""
_ROAD = "{apiVersion: kubectl.example.io/v1, kind: Road, metadata: {name: main}, spec: {lanes: %s}}"
_FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "seed").glob("*.yaml"))


class Kubectl:
    """kubectl in one namespace."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    def __call__(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run it; return what it prints."""
        found = self.run(*arguments, stdin=stdin)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def refused(self, *arguments: str, stdin: str = "") -> str:
        """Run it; return what it complains about."""
        found = self.run(*arguments, stdin=stdin)
        assert found.returncode != 0, found.stdout
        return found.stderr

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.server.kubectl("-n", self.namespace, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Object:
        return dict(json.loads(self("get", *arguments, "-o", "json")))


@pytest.fixture
def kubectl(server: ApiServer, namespace: str) -> Kubectl:
    return Kubectl(server, namespace)


@pytest.fixture
def web(kubectl: Kubectl) -> Kubectl:
    kubectl("apply", "-f", "-", stdin=_WEB)
    return kubectl


@pytest.fixture(scope="module")
def _roads(server: ApiServer) -> None:
    found = server.kubectl("apply", "-f", "-", stdin=_ROADS)
    assert found.returncode == 0, found.stderr
    found = server.kubectl(
        "wait", "--for=condition=Established", "crd/roads.kubectl.example.io", "--timeout=30s"
    )
    assert found.returncode == 0, found.stderr


@pytest.fixture
def roads(_roads: None, kubectl: Kubectl) -> Kubectl:
    kubectl("apply", "-f", "-", stdin=_ROAD % 2)
    return kubectl


def _rows(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_apply_creates_then_leaves_alone_then_configures(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=_WEB) == "deployment.apps/web created\nservice/web created\n"
    assert kubectl("apply", "-f", "-", stdin=_WEB) == "deployment.apps/web unchanged\nservice/web unchanged\n"
    changed = _WEB.replace("web:1", "web:2")
    assert "deployment.apps/web configured" in kubectl("apply", "-f", "-", stdin=changed)
    found = kubectl.get("deployment", "web")
    assert found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:2"
    assert found["metadata"]["generation"] == 2


def test_apply_removes_what_was_applied_before_and_keeps_what_others_added(web: Kubectl) -> None:
    web("annotate", "deployment", "web", "example.io/mine=1")
    web("apply", "-f", "-", stdin=_WEB.replace("  labels: {app: web}\n", ""))
    meta = web.get("deployment", "web")["metadata"]
    assert "labels" not in meta
    assert meta["annotations"]["example.io/mine"] == "1"


def test_server_side_apply_tells_conflicts_and_takes_over_when_forced(kubectl: Kubectl) -> None:
    apply = ("apply", "--server-side", "-f", "-")
    assert "deployment.apps/web serverside-applied" in kubectl(*apply, stdin=_WEB)
    kubectl("scale", "deployment/web", "--replicas=5")
    message = kubectl.refused(*apply, stdin=_WEB)
    assert 'conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas' in message
    kubectl(*apply, "--force-conflicts", stdin=_WEB)
    assert kubectl.get("deployment", "web")["spec"]["replicas"] == 2


def test_server_side_apply_takes_over_from_client_side_apply(web: Kubectl) -> None:
    for image in ("web:1", "web:2"):
        web("apply", "--server-side", "-f", "-", stdin=_WEB.replace("web:1", image))
    shown = yaml.safe_load(web("get", "deployment", "web", "-o", "yaml", "--show-managed-fields"))
    managers = {(each["manager"], each["operation"]) for each in shown["metadata"]["managedFields"]}
    assert managers == {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")}


def test_validation_names_the_unknown_field(kubectl: Kubectl) -> None:
    message = kubectl.refused("apply", "-f", "-", stdin=_WEB.replace("replicas:", "replica:"))
    assert 'strict decoding error: unknown field "spec.replica"' in message


def test_a_dry_run_and_a_diff_leave_no_trace(kubectl: Kubectl) -> None:
    out = kubectl("apply", "--dry-run=server", "-f", "-", stdin=_WEB)
    assert out == "deployment.apps/web created (server dry run)\nservice/web created (server dry run)\n"
    assert kubectl("get", "deployments,services", "-o", "name") == ""
    found = kubectl.run("diff", "-f", "-", stdin=_WEB)
    assert (found.returncode, "+kind: Deployment" in found.stdout) == (1, True)


def test_tables(web: Kubectl) -> None:
    header, row = _rows(web("get", "deploy"))[:2]
    assert header == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row[:4] == ["web", "0/2", "0", "0"]
    header, row = _rows(web("get", "deployments", "-o", "wide"))
    assert header[5:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert row[5:] == ["web", "web:1", "app=web"]
    header, row = _rows(web("get", "service", "web"))
    assert (header[:4], row[0], row[4]) == (["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP"], "web", "80/TCP")
    everywhere = _rows(web("get", "deploy", "-A", "-l", "app=web"))
    assert everywhere[0][0] == "NAMESPACE"
    assert web.namespace in [row[0] for row in everywhere]
    assert web("get", "all", "-o", "name").split() == ["service/web", "deployment.apps/web"]


def test_describe_shows_the_object_and_its_events(web: Kubectl) -> None:
    found = web.get("deployment", "web")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "web.1"},
        "involvedObject": {
            "kind": "Deployment",
            "name": "web",
            "namespace": web.namespace,
            "uid": found["metadata"]["uid"],
        },
        "reason": "Shifted",
        "message": "10% to v2",
        "type": "Normal",
        "source": {"component": "crossfade"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }
    web("create", "-f", "-", stdin=json.dumps(event))
    described = web("describe", "deployment", "web")
    assert "Replicas:               2 desired" in described
    assert "Shifted" in described
    assert "10% to v2" in described
    assert "TargetPort:               8080/TCP" in web("describe", "service", "web")
    assert "Active" in web("describe", "namespace", web.namespace)
    assert "10% to v2" in web("get", "events")


@pytest.mark.parametrize(
    ("kind", "patch", "replicas"),
    [
        pytest.param("strategic", '{"spec":{"replicas":3}}', 3, id="strategic"),
        pytest.param("merge", '{"spec":{"replicas":4}}', 4, id="merge"),
        pytest.param(
            "json",
            '[{"op":"test","path":"/spec/replicas","value":2},{"op":"replace","path":"/spec/replicas","value":5}]',
            5,
            id="json",
        ),
    ],
)
def test_patches(web: Kubectl, kind: str, patch: str, replicas: int) -> None:
    web("patch", "deployment", "web", "--type", kind, "-p", patch)
    assert web.get("deployment", "web")["spec"]["replicas"] == replicas


def test_a_failed_test_in_a_patch_is_told(web: Kubectl) -> None:
    patch = '[{"op":"test","path":"/spec/replicas","value":9}]'
    message = web.refused("patch", "deployment", "web", "--type=json", "-p", patch)
    assert "the server rejected our request due to an error in our request" in message


def test_scale_label_annotate_set_image_restart(web: Kubectl) -> None:
    web("scale", "deployment/web", "--replicas=3")
    web("label", "deployment", "web", "tier=front")
    web("annotate", "deployment", "web", "example.io/why=because")
    web("set", "image", "deployment/web", "web=web:7")
    web("rollout", "restart", "deployment/web")
    found = web.get("deployment", "web")
    template = found["spec"]["template"]
    assert found["spec"]["replicas"] == 3
    assert found["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert found["metadata"]["annotations"]["example.io/why"] == "because"
    assert template["spec"]["containers"][0]["image"] == "web:7"
    assert "kubectl.kubernetes.io/restartedAt" in template["metadata"]["annotations"]
    assert found["metadata"]["generation"] == 4


def test_a_scale_that_expects_another_number_is_refused(web: Kubectl) -> None:
    message = web.refused("scale", "deployment/web", "--replicas=1", "--current-replicas=7")
    assert "Expected replicas to be 7, was 2" in message


def test_wait_ends_when_the_condition_holds_and_when_the_object_is_gone(web: Kubectl) -> None:
    command = [str(Path(sys.executable).with_name("kubectl")), "--kubeconfig", str(web.server.kubeconfig)]
    command += ["-n", web.namespace, "wait", "deployment/web", "--timeout=60s"]
    available = subprocess.Popen([*command, "--for=condition=Available"], stdout=subprocess.PIPE)
    gone = subprocess.Popen([*command, "--for=delete"], stdout=subprocess.PIPE)
    status = '{"status":{"conditions":[{"type":"Available","status":"True"}]}}'
    web("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", status)
    assert available.communicate(timeout=60)[0] == b"deployment.apps/web condition met\n"
    web("delete", "deployment", "web")
    assert gone.communicate(timeout=60)[0] == b"deployment.apps/web condition met\n"
    assert (available.returncode, gone.returncode) == (0, 0)


def test_rollout_status_follows_the_status(web: Kubectl) -> None:
    status = {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    patch = json.dumps({"status": status})
    web("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", patch)
    assert web("rollout", "status", "deployment/web", "--timeout=30s") == (
        'deployment "web" successfully rolled out\n'
    )


def test_get_w_prints_a_row_per_change(web: Kubectl) -> None:
    command = [str(Path(sys.executable).with_name("kubectl")), "--kubeconfig", str(web.server.kubeconfig)]
    command += ["-n", web.namespace, "get", "deployment", "-w", "--no-headers"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[:2] == ["web", "0/2"]
        web("scale", "deployment/web", "--replicas=4")
        assert watching.stdout.readline().split()[:2] == ["web", "0/4"]
        watching.terminate()


def test_create_commands_send_protobuf_and_are_understood(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "d", "--image=d:1", "--port=80", "--replicas=0")
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b")
    kubectl("create", "service", "clusterip", "d", "--tcp=80:8080")
    kubectl("create", "job", "j", "--image=j:1", "--", "sleep", "1")
    kubectl("create", "serviceaccount", "a")
    deployment = kubectl.get("deployment", "d")["spec"]
    assert deployment["replicas"] == 0
    assert deployment["template"]["spec"]["containers"][0]["ports"] == [
        {"containerPort": 80, "protocol": "TCP"}
    ]
    assert kubectl.get("configmap", "c")["data"] == {"a": "b"}
    assert kubectl.get("secret", "s")["data"] == {"a": "Yg=="}
    assert kubectl.get("service", "d")["spec"]["ports"][0]["targetPort"] == 8080
    assert kubectl.get("job", "j")["spec"]["template"]["spec"]["containers"][0]["command"] == ["sleep", "1"]
    assert kubectl("auth", "can-i", "delete", "pods") == "yes\n"
    assert "sandbox-admin" in kubectl("auth", "whoami")


def test_a_namespace_is_created_and_deleted_with_all_it_holds(server: ApiServer, namespace: str) -> None:
    kubectl = Kubectl(server, f"{namespace}-more")
    kubectl("create", "namespace", kubectl.namespace)
    kubectl("apply", "-f", "-", stdin=_WEB)
    kubectl("delete", "namespace", kubectl.namespace, "--timeout=60s")
    assert "not found" in kubectl.refused("get", "namespace", kubectl.namespace)
    assert kubectl("get", "deployments", "-o", "name") == ""


def test_delete_waits_for_finalizers(web: Kubectl) -> None:
    web("patch", "service", "web", "--type=merge", "-p", '{"metadata":{"finalizers":["example.io/mine"]}}')
    web("delete", "service", "web", "--wait=false")
    assert web.get("service", "web")["metadata"]["deletionTimestamp"]
    web("patch", "service", "web", "--type=json", "-p", '[{"op":"remove","path":"/metadata/finalizers"}]')
    assert "not found" in web.refused("get", "service", "web")


def test_a_stale_replace_is_a_conflict(web: Kubectl) -> None:
    stale = web("get", "service", "web", "-o", "yaml")
    web("label", "service", "web", "a=b")
    message = web.refused("replace", "-f", "-", stdin=stale)
    assert "the object has been modified" in message


def test_custom_resources_have_their_own_names_and_columns(roads: Kubectl) -> None:
    assert _rows(roads("get", "rd")) == [["NAME", "LANES"], ["main", "2"]]
    assert _rows(roads("get", "roads", "-o", "wide")) == [
        ["NAME", "LANES", "SURFACE"],
        ["main", "2", "asphalt"],
    ]
    assert roads("get", "ways", "-o", "name") == "road.kubectl.example.io/main\n"
    assert "Lanes:    2" in roads("describe", "road", "main")
    assert "lanes" in roads("explain", "road.spec")


def test_custom_resources_are_validated_when_they_are_applied(roads: Kubectl) -> None:
    message = roads.refused("apply", "-f", "-", stdin=_ROAD % 0)
    assert "spec.lanes: Invalid value: 0: spec.lanes in body should be greater than or equal to 1" in message
    message = roads.refused("apply", "-f", "-", stdin=_ROAD % "1, wheels: 4")
    assert 'unknown field "spec.wheels"' in message


def test_custom_resources_are_patched_and_waited_for(roads: Kubectl) -> None:
    roads("patch", "road", "main", "--type=merge", "-p", '{"spec":{"lanes":3}}', "--field-manager=crossfade")
    shown = yaml.safe_load(roads("get", "road", "main", "-o", "yaml", "--show-managed-fields"))
    owned = {each["manager"]: each["fieldsV1"] for each in shown["metadata"]["managedFields"]}
    assert owned["crossfade"] == {"f:spec": {"f:lanes": {}}}
    status = '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'
    roads("patch", "road", "main", "--subresource=status", "--type=merge", "-p", status)
    assert "condition met" in roads("wait", "--for=condition=Ready", "road/main", "--timeout=30s")
    assert "condition met" in roads("wait", "--for=jsonpath={.spec.lanes}=3", "road/main", "--timeout=30s")


@pytest.mark.parametrize("path", _FIXTURES, ids=lambda path: path.stem)
def test_the_workflow_is_applied_unmodified(server: ApiServer, path: Path) -> None:
    for name in ("echo", "gloo-system"):
        server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    kinds = {each["kind"] for each in yaml.safe_load_all(path.read_text()) if each}
    if kinds & {"VirtualService", "Upstream"}:
        for group, kind, plural in (
            ("gateway.solo.io", "VirtualService", "virtualservices"),
            ("gloo.solo.io", "Upstream", "upstreams"),
        ):
            schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
            version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            names = {"plural": plural, "kind": kind}
            spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
            body = {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}
            server.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    for mode in ((), ("--server-side", "--force-conflicts")):
        found = server.kubectl("apply", *mode, "-f", path)
        assert found.returncode == 0, found.stderr
