"""What runs on a sandbox behaves as on a cluster: rollouts, crashes, deadlines, Jobs, and parts that fail."""

import json
import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from sandbox.cluster import Cluster
from sandbox.load import Load, Traffic
from sandbox.process import wait_until


pytestmark = pytest.mark.e2e

Kubectl = Callable[..., str]
Document = dict[str, Any]


@dataclass
class Shop:
    """An application with a Service, an Upstream and a route under a domain of its own."""

    cluster: Cluster
    kubectl: Kubectl
    namespace: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Host": f"{self.namespace}.example"}

    @property
    def faults(self) -> str:
        return f"{self.cluster.apiserver}/sandbox/faults"

    def apply(self, *documents: Document) -> None:
        self.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, documents)))

    def deploy(self, version: str, *arguments: str, replicas: int = 1, **spec: Any) -> str:
        labels = {"app": "shop", "version": version}
        container = {
            "name": "shop",
            "image": "crossfade/demo-app",
            "args": ["-listen=:8080", f"-text=version:{version}", *arguments],
            "ports": [{"containerPort": 8080}],
        }
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        self.apply(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": f"shop-{version}", "namespace": self.namespace},
                "spec": {
                    "replicas": replicas,
                    "selector": {"matchLabels": labels},
                    "template": template,
                    **spec,
                },
            }
        )
        return f"deployment/shop-{version}"

    def rolled_out(self, deployment: str) -> None:
        self.kubectl("rollout", "status", "-n", self.namespace, deployment, "--timeout=60s")

    def get(self, *what: str) -> Document:
        found: Document = json.loads(self.kubectl("get", "-n", self.namespace, *what, "-o", "json"))
        return found

    def pods(self) -> list[Document]:
        pods: list[Document] = self.get("pods")["items"]
        return pods

    def answers(self) -> set[int]:
        with requests.Session() as session:
            return {
                session.get(self.cluster.gateway, headers=self.headers, timeout=10).status_code
                for _ in range(5)
            }


@pytest.fixture
def shop(cluster: Cluster, kubectl: Kubectl, namespace: str) -> Iterator[Shop]:
    made = Shop(cluster, kubectl, namespace)
    place = {"name": namespace, "namespace": "gloo-system"}
    kube = {"serviceName": "shop", "serviceNamespace": namespace, "servicePort": 80}
    route = {"matchers": [{"prefix": "/"}], "routeAction": {"single": {"upstream": place}}}
    made.apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "shop", "namespace": namespace},
            "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "gloo.solo.io/v1",
            "kind": "Upstream",
            "metadata": place,
            "spec": {"kube": {**kube, "subsetSpec": {"selectors": [{"keys": ["version"]}]}}},
        },
        {
            "apiVersion": "gateway.solo.io/v1",
            "kind": "VirtualService",
            "metadata": place,
            "spec": {"virtualHost": {"domains": [f"{namespace}.example"], "routes": [route]}},
        },
    )
    yield made
    requests.delete(made.faults, timeout=5)
    kubectl("delete", "-n", "gloo-system", f"virtualservice/{namespace}", f"upstream/{namespace}")


def test_no_request_fails_while_a_new_template_rolls_out(shop: Shop) -> None:
    deployment = shop.deploy("v1", replicas=2)
    shop.rolled_out(deployment)
    assert wait_until(lambda: shop.answers() == {200}, 20)
    with Load(Traffic(shop.cluster.gateway, 60, shop.headers)) as load:
        shop.deploy("v1", "--latency=0.01", replicas=2)
        shop.rolled_out(deployment)
        shop.kubectl("scale", "-n", shop.namespace, deployment, "--replicas=1")
        assert wait_until(lambda: len(shop.pods()) == 1, 30)
    assert load.snapshot()["failed"] == 0, load.snapshot()


def test_a_crashing_pod_is_restarted_waits_and_gets_no_traffic_meanwhile(shop: Shop) -> None:
    shop.deploy("v1", "--crash-after=0.8")

    def backing_off() -> bool:
        return any(
            status["restartCount"] >= 1
            and (status["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff"
            for pod in shop.pods()
            for status in pod.get("status", {}).get("containerStatuses", [])
        )

    assert wait_until(backing_off, 30)
    [pod] = shop.pods()
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    assert "CrashLoopBackOff" in shop.kubectl("describe", "pods", "-n", shop.namespace)
    pieces = shop.get("endpointslices")["items"]
    assert [e["conditions"]["ready"] for piece in pieces for e in piece["endpoints"]] == [False]


def test_a_pod_that_never_gets_ready_exceeds_the_deadline(shop: Shop) -> None:
    deployment = shop.deploy("v1", "--never-ready", progressDeadlineSeconds=1)
    progressing = '{.status.conditions[?(@.type=="Progressing")].reason}'
    shop.kubectl(
        "wait",
        "-n",
        shop.namespace,
        deployment,
        f"--for=jsonpath={progressing}=ProgressDeadlineExceeded",
        "--timeout=30s",
    )
    assert shop.get(deployment)["status"]["unavailableReplicas"] == 1


def test_a_readiness_probe_decides(shop: Shop) -> None:
    shop.deploy("v1", "--error-rate=1", "--error-path=/health")
    probe = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1}
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "shop", "readinessProbe": probe}]}}}}
    shop.rolled_out("deployment/shop-v1")
    shop.kubectl("patch", "-n", shop.namespace, "deployment/shop-v1", "-p", json.dumps(patch))
    assert wait_until(lambda: shop.get("deployment/shop-v1")["status"].get("updatedReplicas") == 1, 20)
    assert wait_until(lambda: len(shop.pods()) == 2, 20)
    probed = [p for p in shop.pods() if "readinessProbe" in p["spec"]["containers"][0]]
    assert [p["status"]["phase"] for p in probed] in (["Running"], ["Pending"])
    assert shop.get("deployment/shop-v1")["status"]["readyReplicas"] == 1


@pytest.mark.parametrize(("code", "condition"), [(0, "complete"), (3, "failed")])
def test_jobs_run_to_their_end(shop: Shop, code: int, condition: str) -> None:
    name = f"job-{uuid.uuid4().hex[:6]}"
    container = {"name": "c", "image": "any", "command": ["sh", "-c", f"exit {code}"]}
    shop.apply(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": shop.namespace},
            "spec": {
                "backoffLimit": 0,
                "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
            },
        }
    )
    shop.kubectl("wait", "-n", shop.namespace, f"job/{name}", f"--for=condition={condition}", "--timeout=30s")


def test_a_deleted_deployment_takes_its_pods_and_processes_along(shop: Shop) -> None:
    deployment = shop.deploy("v1")
    shop.rolled_out(deployment)
    [pod] = shop.pods()
    address = f"http://{pod['status']['podIP']}:8080"
    assert requests.get(address, timeout=5).ok
    shop.kubectl("delete", "-n", shop.namespace, deployment)
    assert wait_until(lambda: shop.pods() == [], 30)
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=5)


def test_prometheus_scrapes_the_pods_with_the_usual_labels(shop: Shop) -> None:
    shop.rolled_out(shop.deploy("v1"))
    assert wait_until(lambda: shop.answers() == {200}, 20)
    query = f'http_requests_total{{namespace="{shop.namespace}",app="shop",version="v1",code="200"}} >= 5'

    def found() -> list[Document]:
        answer = requests.get(f"{shop.cluster.prometheus}/api/v1/query", params={"query": query}, timeout=5)
        result: list[Document] = answer.json()["data"]["result"]
        return result

    assert wait_until(lambda: len(found()) == 1, 30, pause=0.2)
    assert found()[0]["metric"]["pod"] == shop.pods()[0]["metadata"]["name"]


def test_prometheus_scrapes_envoy_by_cluster(shop: Shop) -> None:
    shop.rolled_out(shop.deploy("v1"))
    assert wait_until(lambda: shop.answers() == {200}, 20)
    query = f'envoy_cluster_upstream_rq{{envoy_cluster_name="{shop.namespace}_gloo-system"}}'

    def found() -> list[Document]:
        answer = requests.get(f"{shop.cluster.prometheus}/api/v1/query", params={"query": query}, timeout=5)
        result: list[Document] = answer.json()["data"]["result"]
        return result

    assert wait_until(lambda: "200" in {r["metric"]["envoy_response_code"] for r in found()}, 30, pause=0.2)


def test_envoy_says_of_each_request_where_it_went(shop: Shop) -> None:
    shop.rolled_out(shop.deploy("v1"))
    assert wait_until(lambda: shop.answers() == {200}, 20)

    def entries() -> list[Document]:
        lines = [json.loads(line) for line in shop.cluster.access_log.read_text().splitlines()]
        return [e for e in lines if e["authority"] == shop.headers["Host"] and e["code"] == 200]

    assert wait_until(lambda: len(entries()) >= 5, 20)  # Envoy flushes its log now and then
    entry = entries()[0]
    assert entry["upstream_cluster"] == f"{shop.namespace}_gloo-system"
    assert entry["upstream_host"] == f"{shop.pods()[0]['status']['podIP']}:8080"
    assert entry["route_name"] == f"gloo-system.{shop.namespace}-route-0"


def test_requests_are_served_while_api_server_and_gloo_are_down(shop: Shop) -> None:
    deployment = shop.deploy("v1")
    shop.rolled_out(deployment)
    assert wait_until(lambda: shop.answers() == {200}, 20)
    shop.cluster.kill("apiserver")
    shop.cluster.kill("gloo")
    assert shop.answers() == {200}
    shop.cluster.start("apiserver")
    shop.cluster.start("gloo")
    assert shop.get(deployment)["status"]["readyReplicas"] == 1  # it kept its data
    shop.kubectl("scale", "-n", shop.namespace, deployment, "--replicas=0")
    assert wait_until(lambda: shop.answers() == {503}, 30)  # and all watch it again


FAULTS: list[Document] = [
    {"fault": "expire", "verb": "watch", "times": 3},
    {"fault": "drop", "verb": "watch", "times": 3},
    {"fault": "answer", "code": 500, "resource": "pods", "verb": "create", "times": 2},
    {"fault": "answer", "code": 409, "resource": "deployments.apps/status", "times": 3},
    {"fault": "lose", "resource": "pods/status", "times": 2},
    {
        "fault": "answer",
        "code": 429,
        "retryAfter": 1,
        "resource": "endpointslices.discovery.k8s.io",
        "times": 2,
    },
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_failing_api_server_is_asked_again_until_all_is_as_it_should_be(
    shop: Shop, fault: Document
) -> None:
    assert requests.post(shop.faults, json={**fault, "userAgent": "kubelet"}, timeout=5).ok
    deployment = shop.deploy("v1", replicas=2)
    shop.rolled_out(deployment)
    assert wait_until(lambda: shop.answers() == {200}, 30)
    assert wait_until(lambda: len(shop.pods()) == 2, 30)
    assert wait_until(
        lambda: requests.get(shop.faults, timeout=5).json()["faults"] == [], 30
    )  # all have happened


def test_gloo_tries_again_until_its_verdict_is_written(shop: Shop) -> None:
    fault = {"fault": "answer", "code": 503, "verb": "patch", "userAgent": "gloo", "times": 2}
    assert requests.post(shop.faults, json=fault, timeout=5).ok
    empty = [{"op": "replace", "path": "/spec/virtualHost/routes/0/routeAction", "value": {"multi": {}}}]
    route = f"virtualservice/{shop.namespace}"
    shop.kubectl("patch", "-n", "gloo-system", route, "--type=json", "-p", json.dumps(empty))
    rejected = "--for=jsonpath={.status.statuses.gloo-system.state}=Rejected"
    shop.kubectl("wait", "-n", "gloo-system", route, rejected, "--timeout=30s")


def test_pods_come_back_with_the_kubelet(shop: Shop) -> None:
    deployment = shop.deploy("v1")
    shop.rolled_out(deployment)
    [before] = shop.pods()
    address = before["status"]["podIP"]
    shop.cluster.kill("kubelet")
    assert wait_until(lambda: not listens(address, 8080), 10)  # processes do not outlive their kubelet
    shop.cluster.start("kubelet")
    assert wait_until(lambda: shop.answers() == {200}, 30)
    [after] = shop.pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert wait_until(lambda: shop.pods()[0]["status"]["containerStatuses"][0]["restartCount"] == 1, 10)


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def test_a_stopped_prometheus_comes_back_with_its_data(shop: Shop) -> None:
    api = f"{shop.cluster.prometheus}/api/v1/query"
    query = {"query": "count(count_over_time(up[1h]))"}
    assert wait_until(lambda: requests.get(api, params=query, timeout=5).json()["data"]["result"] != [], 20)
    shop.cluster.stop("prometheus")
    with pytest.raises(requests.ConnectionError):
        requests.get(api, timeout=5)
    shop.cluster.start("prometheus")
    assert wait_until(lambda: requests.get(api, params=query, timeout=5).json()["data"]["result"] != [], 20)
