"""The doctor on a real cluster: what is broken is found, and the script that it prints cures it."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faults import faults, forbidden
from releases import CROSSFADE, Application, failures, wait_for
from sandbox.apiserver.testing import ApiServer
from sandbox.cluster import Cluster
from sandbox.load import Load


Document = dict[str, Any]


def doctor(app: Application, *arguments: str, code: int | None = None) -> subprocess.CompletedProcess[str]:
    """Let the doctor look at the application's Canary."""
    command = [str(CROSSFADE), "doctor", "echo", "-n", app.namespace, "--prometheus", app.cluster.prometheus]
    done = subprocess.run(
        [*command, *arguments],
        env={**os.environ, "KUBECONFIG": str(app.cluster.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert code is None or done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def found(app: Application, *severities: str, arguments: Sequence[str] = ()) -> dict[str, str]:
    """Give the findings of these severities: check -> what was said."""
    document = json.loads(doctor(app, "-o", "json", *arguments).stdout)
    chosen = [each for each in document["findings"] if each["severity"] in severities]
    return {each["check"]: f"{each['about']}: {each['message']}" for each in chosen}


def cure(app: Application) -> str:
    """Run the script that the doctor prints; give it."""
    script = doctor(app, "--fix").stdout
    bin_first = f"{CROSSFADE.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "KUBECONFIG": str(app.cluster.kubeconfig), "PATH": bin_first}
    done = subprocess.run(["sh"], input=script, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, script + done.stdout + done.stderr
    return script


def served(users: Load, number: int = 100) -> None:
    """Wait until so many more requests were answered."""
    before = users.snapshot()["requests"]
    deadline = time.monotonic() + 30
    while users.snapshot()["requests"] < before + number:
        assert time.monotonic() < deadline, users.snapshot()
        time.sleep(0.05)


def test_a_healthy_canary_has_no_problems_and_its_fixes_fail_no_request(app: Application) -> None:
    app.adopted()
    with app.load() as users:
        wait_for(lambda: json.dumps(found(app, "problem")), "{}")  # until stable has been scraped
        assert set(found(app, "warning")) == {"fallback"}
        assert "NO_FALLBACK" in cure(app)
        served(users)
        assert found(app, "warning", "problem") == {}
        late = app.virtual_service_manifest()
        late["metadata"]["name"] = f"{app.name}-late"
        late["spec"]["virtualHost"]["domains"] = [f"late.{app.host}"]
        app.apply(late)
        host = {"Host": f"late.{app.host}"}
        wait_for(lambda: str(app.versions(1, host)), "503")
        assert (
            f"{app.name}-late: spec.virtualHost.routes[0] is not fixed" in found(app, "problem")["fallback"]
        )
        cure(app)
        wait_for(lambda: str(app.versions(1, host)), "v1")
        assert found(app, "warning", "problem") == {}
        text = doctor(app, code=0).stdout
    assert failures(users.snapshot()) == 0
    assert f"Canary {app.namespace}/echo: its pods carry version: v1 (echo-v1)" in text
    app.kubectl("delete", "virtualservice", "-n", "gloo-system", f"{app.name}-late")


def test_what_leaks_or_cannot_be_told_apart_is_found_and_cured_under_load(app: Application) -> None:
    app.adopted()
    partners = app.virtual_service_manifest()
    partners["metadata"]["name"] = f"{app.name}-partners"
    partners["spec"]["virtualHost"]["domains"] = [f"partners.{app.host}"]
    upstream = app.upstream()
    del upstream["spec"]["kube"]["subsetSpec"]
    app.apply(partners, upstream)
    broken = json.dumps(app.canary_manifest()).replace('version=\\"{{ version }}', 'ver=\\"{{ version }}')
    app.apply(json.loads(broken))
    with app.load() as users:
        wait_for(lambda: found(app, "problem").get("metrics", ""), "none of them carries a label ver")
        problems = found(app, "problem")
        assert set(problems) == {"subset-keys", "unmanaged", "metrics"}
        assert "declares nothing" in problems["subset-keys"]
        assert f"VirtualService gloo-system/{app.name}-partners: spec.virtualHost" in problems["unmanaged"]
        doctor(app, code=4)
        assert '"NO_FALLBACK"' not in cure(app)
        app.until(lambda status: status["phase"] == "Idle" and status.get("held") is None)
        wait_for(lambda: json.dumps(found(app, "problem")), "{}")
        assert set(found(app, "warning")) == {"fallback"}
        cure(app)
        served(users)
        assert found(app, "warning", "problem") == {}
    assert failures(users.snapshot()) == 0
    app.kubectl("delete", "virtualservice", "-n", "gloo-system", f"{app.name}-partners")


def test_a_misspelt_upstream_is_found_and_the_right_one_named(app: Application) -> None:
    app.install()
    app.canary(upstream={"name": "ecco"})
    app.until(lambda status: (status.get("held") or {}).get("reason") == "Stalled")
    assert "ecco: there is none" in found(app, "problem")["upstream"]
    cure(app)
    app.until(lambda status: status.get("phase") == "Idle")
    assert found(app, "problem").keys() <= {"metrics"}  # nobody has sent a request


def test_of_two_versions_the_doctor_asks_which_one_serves(app: Application) -> None:
    app.install()
    app.deploy("v2")
    app.kubectl("wait", "-n", app.namespace, "deployment/echo-v2", "--for=condition=Available")
    app.canary(paused=True)
    app.until(lambda status: (status.get("held") or {}).get("reason") == "Stalled")
    assert "say which one serves today" in found(app, "problem")["adoption"]
    cure(app)
    app.until(lambda status: (status.get("stable") or {}).get("version") == "v1")
    assert "adoption" not in found(app, "problem")


def test_rights_that_are_missing_are_found_and_unreadable_objects_are_not_guessed_at(
    app: Application,
) -> None:
    app.adopted()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "weak"}}
    app.apply({**account, "metadata": {"name": "weak", "namespace": app.namespace}})
    weak = f"system:serviceaccount:{app.namespace}:weak"
    group = "rbac.authorization.k8s.io"
    role_of_all = {"apiGroup": group, "kind": "ClusterRole", "name": app.namespace}
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    named = {"apiVersion": f"{group}/v1", "metadata": {"name": app.namespace}}
    app.apply(
        {**named, "kind": "ClusterRole", "rules": [everything]},
        {
            **named,
            "kind": "ClusterRoleBinding",
            "roleRef": role_of_all,
            "subjects": [{"kind": "ServiceAccount", "name": "weak", "namespace": app.namespace}],
        },
    )
    denied = forbidden("patch", "virtualservices.gateway.solo.io")
    with faults(app.cluster.apiserver, {**denied, "userAgent": "nobody"}):
        done = json.loads(doctor(app, "-o", "json", "--as", weak, code=4).stdout)
    (finding,) = [each for each in done["findings"] if each["check"] == "controller-rights"]
    assert finding["message"].startswith("may not patch virtualservices.gateway.solo.io in all namespaces")
    role, binding = finding["fix"]["documents"]
    assert role["rules"] == [
        {"apiGroups": ["gateway.solo.io"], "resources": ["virtualservices"], "verbs": ["patch"]}
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "weak", "namespace": app.namespace}]
    assert "controller-rights" not in found(app, "problem", arguments=("--as", weak))
    app.kubectl("delete", "clusterrole,clusterrolebinding", app.namespace)
    unlisted = forbidden("list", "upstreamgroups.gloo.solo.io")
    with faults(app.cluster.apiserver, {**unlisted, "userAgent": "crossfade-cli"}):
        notes = found(app, "note")
        assert "not everything is known of the routes" in notes["routes"]
        assert "cannot list resource" in notes["routes"]


def test_a_canary_of_a_file_is_looked_at_before_it_is_applied(app: Application, tmp_path: Path) -> None:
    app.install()
    with app.load():
        file = tmp_path / "echo.yaml"
        file.write_text(json.dumps(app.canary_manifest(upstream={"name": "ecco"})))
        before = doctor(app, "-f", str(file), "--fix", code=4)
        assert f"# in {file}:\n# spec:\n#   upstream:\n#     name: {app.namespace}\n" in before.stdout
        file.write_text(json.dumps(app.canary_manifest()))
        wait_for(lambda: doctor(app, "-f", str(file)).stdout, "errors, latency can be measured of v1")
        text = doctor(app, "-f", str(file), code=0).stdout
    assert "not adopted yet: adopting v1 as stable: pinning the routes to it" in text
    assert app.status() == {}
    file.write_text(json.dumps(app.canary_manifest(paused="maybe")))
    assert "spec.paused" in doctor(app, "-f", str(file), code=4).stdout


def test_an_interval_shorter_than_the_scrapes_is_found_and_cured(
    tmp_path: Path, connect: Callable[[Cluster], Callable[..., str]]
) -> None:
    with Cluster(tmp_path / "slow", scrape_interval="2s") as cluster:
        kubectl = connect(cluster)
        kubectl("apply", "-f", "-", stdin=subprocess.check_output([CROSSFADE, "crd"], text=True))
        kubectl("create", "namespace", "slow")
        app = Application(cluster, kubectl, "slow")
        app.install()
        app.canary()
        with app.load() as users:
            wait_for(lambda: json.dumps(found(app, "warning")), "stable is scraped every 2s")
            served(users, 10)
            assert "scrape-interval" in found(app, "warning")
            cure(app)
            assert "scrape-interval" not in found(app, "warning")
        interval = kubectl("get", "canary", "-n", "slow", "echo", "-o", "jsonpath={.spec.analysis.interval}")
        assert interval == "2s"


def test_a_cluster_without_anything_is_told_what_to_install_and_one_that_is_away_is_named(
    tmp_path: Path,
) -> None:
    with ApiServer(tmp_path) as server:
        kubeconfig = ["--kubeconfig", str(server.kubeconfig)]
        none = subprocess.run(
            [CROSSFADE, "doctor", *kubeconfig], capture_output=True, text=True, check=False, timeout=60
        )
        assert none.returncode == 1
        assert "crossfade crd | kubectl apply -f -" in none.stderr
    away = subprocess.run(
        [CROSSFADE, "doctor", *kubeconfig], capture_output=True, text=True, check=False, timeout=120
    )
    assert away.returncode == 1
    assert "cannot reach" in away.stderr
