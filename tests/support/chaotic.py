"""A chaos run as it should be, written by hand: v2 is good and promoted, v3 is bad and rolled back.

Every write has a name, so that a test can bend one of them and leave the rest as it is.
"""

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

from chaos.chronicle import hash_of
from chaos.records import Deed, Request, Second, What, Write
from chaos.referee import Evidence, Report, judge


Document = dict[str, Any]
BEGAN = 1_800_000_000.0
APP, GLOO = "shop", "gloo-system"
US, HUMAN = "crossfade/0.1.0", "kubectl/v1.33"
VIRTUAL_SERVICES, UPSTREAMS = "virtualservices.gateway.solo.io", "upstreams.gloo.solo.io"
CANARIES, DEPLOYMENTS, PODS = "canaries.crossfade.dev", "deployments.apps", "pods"
ADDRESSES = {"v1": "127.0.0.1", "v2": "127.0.0.2", "v3": "127.0.0.3"}
CONDITION = {"prefix": "/", "headers": [{"name": "stage", "value": "canary"}]}
BAKING = 4.0


def iso(seconds: float) -> str:
    """Write a time of the run as the API server would."""
    return dt.datetime.fromtimestamp(BEGAN + seconds, dt.UTC).isoformat()


def subset(version: str | None) -> Document:
    """Give a destination; None: of all versions."""
    upstream: Document = {"upstream": {"name": APP, "namespace": GLOO}}
    return upstream if version is None else {**upstream, "subset": {"values": {"version": version}}}


def single(version: str | None) -> Document:
    return {"single": subset(version)}


def multi(**weights: int) -> Document:
    found = [{"destination": subset(version), "weight": weight} for version, weight in weights.items()]
    return {"multi": {"destinations": found}}


def main(action: Document) -> Document:
    """Give the main route."""
    return {"matchers": [{"prefix": "/"}], "options": {"timeout": "5s"}, "routeAction": action}


def for_testers(version: str) -> Document:
    """Give the testing route before it."""
    return {"matchers": [CONDITION], "options": {"timeout": "5s"}, "routeAction": single(version)}


ELSEWHERE = {
    "matchers": [{"prefix": "/else"}],
    "routeAction": {"single": {"upstream": {"name": "else", "namespace": GLOO}}},
}


def virtual_service(*routes: Document, domain: str = "shop.test") -> Document:
    """Give a VirtualService; a route of somebody else's comes first."""
    return {
        "kind": "VirtualService",
        "metadata": {"name": APP, "namespace": GLOO, "labels": {"team": "shop"}},
        "spec": {"virtualHost": {"domains": [domain], "routes": [ELSEWHERE, *routes]}},
    }


def template(version: str, *arguments: str) -> Document:
    labels = {"app": APP, "version": version}
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"args": list(arguments)}]}}


def deployment(version: str, replicas: int = 1, *arguments: str) -> Document:
    return {
        "kind": "Deployment",
        "metadata": {"name": f"shop-{version}", "namespace": APP},
        "spec": {"replicas": replicas, "template": template(version, *arguments)},
    }


def pod(version: str) -> Document:
    labels = {"app": APP, "version": version}
    return {
        "kind": "Pod",
        "metadata": {"name": f"shop-{version}-x", "namespace": APP, "labels": labels},
        "status": {"podIP": ADDRESSES[version]},
    }


def revision(version: str) -> Document:
    return {"version": version, "hash": hash_of(template(version)), "deployment": f"shop-{version}"}


def entry(version: str, outcome: str, started: float, ended: float, highest: int, reason: str) -> Document:
    return {
        "revision": revision(version),
        "outcome": outcome,
        "reason": reason,
        "by": "crossfade",
        "startedAt": iso(started),
        "endedAt": iso(ended),
        "highestWeight": highest,
    }


def canary(status: Document | None = None, **annotations: str) -> Document:
    return {
        "kind": "Canary",
        "metadata": {"name": APP, "namespace": APP, "annotations": annotations},
        "spec": {
            "workload": {"selector": {"app": APP}},
            "upstream": {"name": APP, "namespace": GLOO},
            "baking": {"duration": "4s"},
            "analysis": {"falseRollbackRate": "1%"},
        },
        **({} if status is None else {"status": status}),
    }


def write(time: float, who: str, resource: str, document: Document, verb: str = "patch") -> Write:
    """Give a write; a controller's of a Canary is of its status."""
    metadata = document["metadata"]
    status = "status" if resource == CANARIES and who == US else ""
    name, namespace = metadata["name"], metadata["namespace"]
    return Write(BEGAN + time, verb, resource, status, namespace, name, "", who, copy.deepcopy(document))


@dataclass
class Run:
    """What a run left, each write by its name."""

    writes: dict[str, Write] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    seconds: list[Second] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    _status: Document = field(default_factory=dict)

    def human(self, name: str, time: float, resource: str, document: Document, verb: str = "patch") -> Self:
        """Let a human, or whoever is named, write."""
        who = "kubelet" if resource == PODS else HUMAN
        self.writes[name] = write(time, who, resource, document, verb)
        return self

    def record(self, name: str, time: float, **changes: Any) -> Self:
        """Let the controller record a status: the last one with changes; None takes a field away."""
        merged = {**self._status, **changes}
        self._status = {key: value for key, value in merged.items() if value is not None}
        self.writes[name] = write(time, US, CANARIES, canary(self._status), "update")
        return self

    def routes(self, name: str, time: float, *routes: Document) -> Self:
        """Let the controller write the routes."""
        self.writes[name] = write(time, US, VIRTUAL_SERVICES, virtual_service(*routes))
        return self

    def served(self, version: str, begin: float, end: float, code: int = 200) -> Self:
        """Let users be answered by a version, ten a second."""
        for tenth in range(int(begin * 10), int(end * 10)):
            self.requests.append(
                Request(BEGAN + tenth / 10, 0.002, "shop.test", "/", code, "-", f"{ADDRESSES[version]}:8080")
            )
        return self

    def got(self, version: str, begin: float, end: float, **codes: int) -> Self:
        """Let users account for it: version and code -> how many, in each second."""
        found = {version: {code.removeprefix("_"): count for code, count in codes.items()}}
        for second in range(int(begin), int(end)):
            self.seconds.append(
                Second(APP, testers=False, began=BEGAN + second, ended=BEGAN + second + 1, codes=found)
            )
        return self

    def did(self, what: What, began: float, ended: float, app: str = APP, **details: Any) -> Self:
        """Note what chaos did."""
        self.deeds.append(Deed(what, BEGAN + began, BEGAN + ended, app, details))
        return self

    def bend(self, name: str, change: Callable[[Document], object]) -> Self:
        """Change the object of one write, and nothing else."""
        document = copy.deepcopy(dict(self.writes[name].object))
        change(document)
        self.writes[name] = replace(self.writes[name], object=document)
        return self

    def bend_from(self, name: str, change: Callable[[Document], object]) -> Self:
        """Change the status in this record and in all records after it."""
        names = list(self.writes)
        for later in names[names.index(name) :]:
            if self.writes[later].resource == CANARIES and self.writes[later].user_agent == US:
                self.bend(later, lambda document: change(document["status"]))
        return self

    def without(self, *names: str) -> Self:
        """Leave writes out."""
        for name in names:
            del self.writes[name]
        return self

    def after(self, name: str, new: str, made: Write) -> Self:
        """Put a write after another one."""
        found = list(self.writes.items())
        at = list(self.writes).index(name) + 1
        self.writes = dict([*found[:at], (new, made), *found[at:]])
        return self

    def judged(self) -> Report:
        """Let the referee judge it."""
        ordered = sorted(self.writes.values(), key=lambda each: each.time)
        return judge(Evidence(ordered, self.requests, self.seconds, self.deeds))


def right() -> Run:
    """Give the run as it should be."""
    run = Run()
    _installed(run)
    _promoted(run)
    _rolled_back(run)
    run.did(What.QUIET, 40, 60, app="")
    run.served("v1", 0, 14).served("v2", 12, 60).served("v3", 32, 36)
    return run.got("v1", 0, 12, _200=10).got("v2", 12, 60, _200=10).got("v3", 32, 36, _200=9, _500=1)


def _installed(run: Run) -> None:
    run.human("upstream", 0, UPSTREAMS, {"kind": "Upstream", "metadata": {"name": APP, "namespace": GLOO}})
    run.human("service", 0.1, VIRTUAL_SERVICES, virtual_service(main(single(None))), "create")
    run.human("v1", 0.2, DEPLOYMENTS, deployment("v1"), "create")
    run.human("pod-v1", 0, PODS, pod("v1"))
    run.human("canary", 0.3, CANARIES, canary(), "create")
    run.record("adopt", 1, phase="Preparing", weight=0, stable=revision("v1"), intendedAt=iso(1), reason="!")
    run.routes("pin", 1.1, main(single("v1")))
    run.record("idle", 2, phase="Idle")


def _promoted(run: Run) -> None:
    run.did(What.APPLICATION, 0, 2, host="shop.test", canary=APP)
    run.did(What.RELEASE, 3, 3.1, version="v2", trait="good", deployment="shop-v2")
    run.human("v2", 3, DEPLOYMENTS, deployment("v2"), "create")
    run.human("pod-v2", 3.1, PODS, pod("v2"))
    run.record("found", 3.3, phase="Preparing", candidate=revision("v2"), startedAt=iso(3.2))
    run.record("opened", 5, phase="Shifting", intendedAt=iso(4.9))
    run.routes("routes-0", 5.1, for_testers("v2"), main(multi(v1=100, v2=0)))
    run.record("weighed-0", 6, verdict="Undecided", evaluatedAt=iso(5.9), stepStartedAt=iso(5.8))
    raised: Document = {"stepStartedAt": None, "highestWeight": 50, "metrics": []}
    run.record("rise-50", 7, weight=50, intendedAt=iso(7), evaluatedAt=iso(6.9), **raised)
    run.routes("routes-50", 7.1, for_testers("v2"), main(multi(v1=50, v2=50)))
    counted = [{"name": "errors", "requests": 40}]
    run.record("weighed-50", 9, stepStartedAt=iso(8), evaluatedAt=iso(8.9), metrics=counted, weightSeen=50)
    raised["highestWeight"] = 100
    run.record(
        "rise-100",
        12,
        weight=100,
        intendedAt=iso(12),
        evaluatedAt=iso(11.9),
        **{**raised, "metrics": counted},
    )
    run.routes("routes-100", 12.1, for_testers("v2"), main(multi(v1=0, v2=100)))
    run.record("weighed-100", 14, stepStartedAt=iso(13), evaluatedAt=iso(13.9), weightSeen=100)
    run.record("baking", 15, phase="Baking", stepStartedAt=iso(15), evaluatedAt=iso(14.9))
    run.record(
        "baked", 19.5, phase="Finishing", intendedAt=iso(19.5), evaluatedAt=iso(19.4), stepStartedAt=None
    )
    run.routes("routes-v2", 19.6, main(single("v2")))
    history = [entry("v2", "Promoted", 3.2, 20.9, 100, "passed every step")]
    done = {"stable": revision("v2"), "candidate": None, "history": history, "weightSeen": None}
    run.record("promoted", 21, phase="Promoted", stepStartedAt=iso(20.9), **done)
    run.writes["stop-v1"] = write(22, US, DEPLOYMENTS, deployment("v1", 0))


def _rolled_back(run: Run) -> None:
    run.did(What.RELEASE, 24, 24.1, version="v3", trait="bad", deployment="shop-v3")
    run.human("v3", 24, DEPLOYMENTS, deployment("v3"), "create")
    run.human("pod-v3", 24.1, PODS, pod("v3"))
    fresh = {"startedAt": iso(24.3), "weight": 0, "verdict": None, "evaluatedAt": None, "stepStartedAt": None}
    run.record("found-3", 24.4, phase="Preparing", candidate=revision("v3"), metrics=[], **fresh)
    run.record("opened-3", 26, phase="Shifting", intendedAt=iso(26), highestWeight=0)
    run.routes("routes-0-3", 26.1, for_testers("v3"), main(multi(v2=100, v3=0)))
    run.record("weighed-0-3", 27, verdict="Undecided", evaluatedAt=iso(26.9), stepStartedAt=iso(26.8))
    raised = {"stepStartedAt": None, "highestWeight": 50, "weightSeen": 0}
    run.record("rise-50-3", 32, weight=50, intendedAt=iso(32), evaluatedAt=iso(31.9), **raised)
    run.routes("routes-50-3", 32.1, for_testers("v3"), main(multi(v2=50, v3=50)))
    back = {
        "weight": 0,
        "verdict": "Harmful",
        "ending": {"outcome": "RolledBack"},
        "reason": "rolling back v3",
    }
    run.record("back", 36, phase="RollingBack", intendedAt=iso(36), evaluatedAt=iso(35.9), **back)
    run.routes("routes-back", 36.1, main(single("v2")))
    ended = entry("v3", "RolledBack", 24.3, 37.9, 50, "harmful: errors")
    history = [ended, entry("v2", "Promoted", 3.2, 20.9, 100, "passed every step")]
    run.record("rolled-back", 38, phase="RolledBack", ending=None, history=history, reason="rolled back v3")
