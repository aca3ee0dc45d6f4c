"""Whatever is wrong is told to those who can put it right, and stops nobody else."""

import functools
import os
import subprocess
from pathlib import Path

import yaml

from faults import faults, forbidden
from mistakes import Crowd
from releases import CROSSFADE, KUBECTL, Application, Controller, failures, wait_for
from sandbox.apiserver.testing import ApiServer
from sandbox.cluster import CRDS, Cluster


MANIFEST = """\
apiVersion: crossfade.dev/v1alpha1
kind: Canary
metadata: {name: echo, namespace: default}
spec:
  workload:
    selector: {app: echo}
  upstream: {name: echo, namespace: gloo-system}
  routes:
    - {name: echo, namespace: gloo-system}
  shifting:
    steps: [20, 60]
  analysis:
    minRequests: 20
    metrics:
      - name: errors
        ratio: {bad: 'failed{version="{{ version }}"}', total: 'all{version="{{ version }}"}'}
        max: 5%
"""
NOWHERE = "http://127.0.0.1:9"
SLIPS = {
    "a-field.yaml": ("minRequests: 20", "minRequest: 20"),
    "b-weight.yaml": ("[20, 60]", "[20, 101]"),
    "c-steps.yaml": ("[20, 60]", "[60, 20]"),
    "d-percentage.yaml": ("max: 5%", "max: 5 percent"),
    "e-yaml.yaml": ("{app: echo}", "{app: echo"),
}
"""File -> what stands in the manifest, and what somebody wrote instead."""
FOUND = """\
a-field.yaml:13:5: spec.analysis.minRequest: unknown field; did you mean minRequests?; \
allowed: advance, blind, dryRun, falseRollbackRate, harmBudget, interval, metrics, minRequests, \
mustNotExceed, settle
b-weight.yaml:11:17: spec.shifting.steps[1]: found 101; a weight is a whole number from 1 to 100
c-steps.yaml:11:17: spec.shifting.steps[1]: found 20 after 60; weights must rise
d-percentage.yaml:17:9: spec.analysis.metrics[0].max: found '5 percent'; a share looks like 1% or 0.01
e-yaml.yaml:7:11: not valid YAML: expected ',' or '}', but got ':'
"""


def test_files_are_told_what_is_wrong_with_them_and_where(tmp_path: Path) -> None:
    for name, (right, wrong) in SLIPS.items():
        assert right in MANIFEST
        (tmp_path / name).write_text(MANIFEST.replace(right, wrong))
    done = subprocess.run(
        [CROSSFADE, "validate", *SLIPS], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == (FOUND, 5)


def test_unknown_field_is_refused_at_the_door(cluster: Cluster, controller: Controller) -> None:
    done = subprocess.run(
        [KUBECTL, "apply", "--dry-run=server", "-f", "-"],
        input=MANIFEST.replace("shifting:", "shiftng:"),
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert 'unknown field "spec.shiftng"' in done.stderr


def test_dozen_broken_canaries_say_what_is_wrong_and_stop_nobody(
    cluster: Cluster, app: Application, neighbour: Application, controller: Controller
) -> None:
    app.adopted(shifting={"steps": [50], "interval": "1s"})
    neighbour.adopted(analysis={"metrics": [{"name": "oops", "query": "sum(up))", "max": 1}]})
    crowd = Crowd(app, others=("forbidden",))
    denied = forbidden("update", "canaries.crossfade.dev/status", "forbidden")
    with faults(cluster.apiserver, denied), app.load() as users, neighbour.load() as others:
        crowd.create()
        neighbour.deploy("v2")
        app.deploy("v2")
        for name, words in crowd.said.items():
            wait_for(functools.partial(crowd.stalled, name), words)
        held = neighbour.until(lambda status: (status.get("held") or {}).get("needsHuman", False))
        assert (held["weight"], held["held"]["reason"]) == (0, "Stalled")
        words = "query: Prometheus refused the query: 1:9: parse error: unexpected right parenthesis ')'"
        assert held["reason"] == f"spec.analysis.metrics[0].{words}"
        wait_for(
            controller.log.read_text, 'User \\"crossfade\\" cannot update resource \\"canaries/status\\"'
        )
        assert crowd.status("forbidden") == {}
        assert app.ended("v2")["outcome"] == "Promoted"
        assert set(neighbour.versions()) == {"v1"}
    assert failures(users.snapshot()) == failures(others.snapshot()) == 0
    app.crossfade("status", name="steps", code=5)
    app.crossfade("status", name="missing-route", code=4)
    crowd.amend_upstream(yaml.safe_load(crowd.stalled("no-subsets").partition("it should be\n")[2]))
    wait_for(lambda: crowd.stalled("no-subsets"), "no Deployment with pods labelled app=no-subsets")
    crowd.delete()


def test_controller_goes_on_once_everything_is_installed_and_allowed(tmp_path: Path) -> None:
    with ApiServer(tmp_path) as server, Controller(server.kubeconfig, NOWHERE, tmp_path) as controller:

        def reason() -> str:
            return server.kubectl("get", "canary", "echo", "-o", "jsonpath={.status.reason}").stdout

        wait_for(controller.log.read_text, "the CRD canaries.crossfade.dev (v1alpha1) is not installed")
        with faults(server.url, forbidden("list", "virtualservices.gateway.solo.io")):
            server.kubectl("apply", "-f", "-", stdin=subprocess.check_output([CROSSFADE, "crd"], text=True))
            server.kubectl("wait", "--for=condition=Established", "crd/canaries.crossfade.dev")
            server.kubectl("apply", "-f", "-", stdin=MANIFEST)
            wait_for(reason, "the CRD upstreams.gloo.solo.io (v1) is not installed")
            assert 'User "crossfade" cannot list resource "virtualservices"' in reason()
            server.kubectl("apply", "-f", CRDS)
        wait_for(reason, "spec.routes[0]: VirtualService gloo-system/echo not found; spec.upstream: Upstream")
        assert controller.stop() == 0
