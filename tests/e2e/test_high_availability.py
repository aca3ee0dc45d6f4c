"""Two controllers take turns: if one is frozen, killed or told to go in mid-rollout, the other goes on."""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from account import moves, rises
from granted import NAMESPACE, Account, asked
from releases import Application, Controller, failures, wait_for
from sandbox.cluster import Cluster


TERMS = {"lease_duration": "3s", "lease_renew_within": "2s", "lease_retry": "300ms"}


class Replica(Controller):
    """One of several; what it says about the lease."""

    def said(self) -> list[dict[str, Any]]:
        """Give what this run has said about the lease and about Canaries, in order."""
        lines = self._said()
        told = [json.loads(line) for line in lines[: lines.rfind("\n") + 1].splitlines()]
        return [line for line in told if line["event"].startswith("lease.") or line["event"] == "tick"]

    def leads(self) -> str:
        """Give its last word about the lease."""
        return next((line["event"] for line in reversed(self.said()) if line["event"] != "tick"), "")

    def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def get(self, path: str) -> requests.Response:
        return requests.get(self.probes + path, timeout=10)


@pytest.fixture
def pair(
    cluster: Cluster,
    kubectl: Callable[..., str],
    app: Application,
    controller: Controller,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Replica, Replica]]:
    """Give the one that leads and the one that stands by, with the chart's rights and nothing else."""
    account = Account.of_release("pair", replicaCount=2)
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(account.documents))
    app.adopted(
        shifting={"steps": [20, {"weight": 60, "approval": "Manual"}], "interval": "1s"},
        baking={"duration": "1s"},
    )
    controller.kill()
    lease = {"leader_election": "true", "lease_name": "pair-crossfade", "lease_namespace": NAMESPACE}
    with contextlib.ExitStack() as stack:
        replicas = []
        for name in ("one", "two"):
            folder = tmp_path_factory.mktemp(name)
            kubeconfig = account.kubeconfig(cluster.apiserver, folder / "kubeconfig")
            replica = stack.enter_context(
                Replica(Path(kubeconfig), cluster.prometheus, folder, **lease, **TERMS)
            )
            replica.wait_until_started()
            wait_for(replica.leads, "lease.")
            replicas.append(replica)
        leader, other = sorted(replicas, key=lambda replica: replica.leads() != "lease.held")
        yield leader, other
    refused = [each for each in asked(cluster.apiserver) if each.user == account.name and not each.allowed]
    controller.start()
    controller.wait_until_started()
    assert refused == [], "the chart does not grant what was needed"


def test_whoever_leads_may_freeze_be_killed_or_be_told_to_go(
    app: Application, pair: tuple[Replica, Replica]
) -> None:
    one, two = pair
    assert (one.leads(), two.leads()) == ("lease.held", "lease.observed")
    assert (one.get("/readyz").status_code, two.get("/readyz").status_code) == (200, 200)
    assert "crossfade_leader 1.0" in one.get("/metrics").text
    assert "crossfade_leader 0.0" in two.get("/metrics").text
    with app.load() as users:
        app.deploy("v2")
        app.until(lambda status: status.get("weight", 0) >= 20)
        one.freeze()
        wait_for(two.leads, "lease.held")
        app.until(lambda status: (status.get("held") or {}).get("reason") == "AwaitingApproval")
        ticks, routes = len(one.said()), app.virtual_service()
        one.thaw()
        wait_for(one.leads, "lease.observed")
        after = [line for line in one.said()[ticks:] if line["event"] == "tick"]
        assert len(after) <= 1, "more than the tick in which it was frozen"
        assert app.virtual_service() == routes

        two.kill()
        wait_for(one.leads, "lease.held")
        two.start()
        two.wait_until_started()
        wait_for(two.leads, "lease.observed")

        assert one.stop() == 0
        assert one.leads() == "lease.released"
        wait_for(two.leads, "lease.held")
        app.crossfade("approve")
        ended = app.ended("v2")
    assert ended["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [20, 60, 100]
    assert moves(app.writes())[-1] == "v2"
