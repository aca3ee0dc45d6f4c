"""The applications of a chaos run as manifests: every way to be released that a Canary knows is among them.

Pure: what is applied, and by whom, is `chaos/hands.py`'s.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


Document = dict[str, Any]

GLOO = "gloo-system"
CANARY = "echo"
"""Name of every Canary, Service and Upstream's Service; the namespace tells the applications apart."""
TESTERS = {"stage": "canary"}
"""Headers of people who test."""
ENOUGH = 110
"""Requests that a candidate has to answer at every step, three times at least: 5% of them are 16."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How an application is built and released."""

    name: str
    steps: tuple[Any, ...] = (50,)
    testing: bool = False
    upstreams: bool = False
    delegated: bool = False
    shadowing: bool = False
    latency: bool = False
    baking: str = "0s"
    decommission: str = "ScaleToZero"
    advance: str = "Soak"


SHAPES: Sequence[Shape] = (
    Shape("plain", latency=True, baking="2s"),
    Shape("tested", testing=True, steps=(40, 80)),
    Shape("upstreams", upstreams=True, baking="1s", decommission="Delete"),
    Shape("delegated", delegated=True, testing=True, baking="2s", decommission="Delete"),
    Shape("approved", steps=({"weight": 50, "approval": "Manual"},), baking="1s"),
    Shape("shadowed", upstreams=True, shadowing=True, decommission="Keep"),
    Shape("proven", advance="Evidence", latency=True, steps=(30, 70)),
    Shape("all of it", upstreams=True, delegated=True, testing=True, baking="1s", steps=(60,)),
)


def name_of(number: int) -> str:
    """Name the application with this number, from 0."""
    return f"shop-{number}"


def number_of(name: str) -> int:
    """Give the number of an application, which tells its shape."""
    return int(name.rpartition("-")[2])


def shape_of(number: int) -> Shape:
    """Give the shape of the application with this number, from 0."""
    return SHAPES[number % len(SHAPES)]


@dataclass(slots=True)
class Estate:
    """One application, and what Git says of its routes; `number` tells its shape."""

    name: str
    number: int
    revision: int = 0
    """Of the route, the label and the annotation that have nothing to do with releases."""

    @property
    def shape(self) -> Shape:
        """How it is built and released."""
        return shape_of(self.number)

    @property
    def host(self) -> str:
        """The Host header of its users."""
        return f"{self.name}.test"

    def manifests(self) -> Iterator[Document]:
        """Give all that is there before the first version."""
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.name}}
        yield _object(
            "v1",
            "Service",
            self.name,
            CANARY,
            {"ports": [{"port": 80, "targetPort": 8080}], "selector": {"app": CANARY}},
        )
        yield self._upstream()
        if self.shape.delegated:
            routes = {"routes": [self._main()]}
            yield _object("gateway.solo.io/v1", "RouteTable", GLOO, f"{self.name}-routes", routes)
        yield self.virtual_service()

    def virtual_service(self) -> Document:
        """Give the VirtualService as it is in Git: a route of somebody else's first, then the application."""
        main = self._main()
        if self.shape.delegated:
            ref = {"name": f"{self.name}-routes", "namespace": GLOO}
            main = {"matchers": [{"prefix": "/"}], "delegateAction": {"ref": ref}}
        spec = {"virtualHost": {"domains": [self.host], "routes": [self.foreign(), main]}}
        document = _object("gateway.solo.io/v1", "VirtualService", GLOO, self.name, spec)
        document["metadata"]["labels"] = {"team": f"team-{self.revision}"}
        return document

    def foreign(self) -> Document:
        """Give the route that nobody but humans touches."""
        return {
            "matchers": [{"prefix": "/about"}],
            "directResponseAction": {"status": 200, "body": f"revision {self.revision}"},
        }

    def deployment(self, version: str, arguments: Sequence[str]) -> Document:
        """Give the Deployment of a version."""
        labels = {"app": CANARY, "version": version}
        container = {
            "name": CANARY,
            "image": "crossfade/demo-app",
            "args": [f"-text=version:{version}", "-listen=:8080", *arguments],
            "ports": [{"containerPort": 8080}],
        }
        spec = {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        }
        return _object("apps/v1", "Deployment", self.name, f"{CANARY}-{version}", spec)

    def canary(self) -> Document:
        """Give the Canary: quick, and yet it asks for enough requests to tell 5% errors from none."""
        shape = self.shape
        spec: Document = {
            "workload": {"selector": {"app": CANARY}},
            "upstream": {"name": self.name, "namespace": GLOO},
            "routes": [{"kind": "VirtualService", "name": self.name, "namespace": GLOO}],
            "destinations": "Upstreams" if shape.upstreams else "Subsets",
            "shifting": {"steps": list(shape.steps), "interval": "1s"},
            "analysis": {
                "interval": "1s",
                "minRequests": ENOUGH,
                "advance": shape.advance,
                "blind": {"after": "30s"},
                "metrics": [*self._metrics()],
            },
            "promotion": {"decommission": shape.decommission},
            "rollback": {"scaleDown": "ScaleToZero"},
            "progressDeadline": "20s",
        }
        if shape.baking != "0s":
            spec["baking"] = {"duration": shape.baking}
        if shape.testing:
            match = {"headers": [{"name": name, "value": value} for name, value in TESTERS.items()]}
            spec["testing"] = {"match": [match], "requests": 10}
        if shape.shadowing:
            spec["shadowing"] = {"percentage": 50}
        return _object("crossfade.dev/v1alpha1", "Canary", self.name, CANARY, spec)

    def _metrics(self) -> Iterator[Document]:
        yield {"preset": "envoy-errors" if self.shape.upstreams else "http-errors", "max": "1%"}
        if self.shape.latency:
            yield {"preset": "http-latency", "max": {"quantile": 0.9, "seconds": 0.25}}

    def _main(self) -> Document:
        return {
            "matchers": [{"prefix": "/"}],
            "routeAction": {"single": {"upstream": {"name": self.name, "namespace": GLOO}}},
            "options": {"timeout": "10s"},
        }

    def _upstream(self) -> Document:
        kube: Document = {
            "selector": {"app": CANARY},
            "serviceName": CANARY,
            "serviceNamespace": self.name,
            "servicePort": 80,
        }
        if not self.shape.upstreams:
            kube["subsetSpec"] = {"selectors": [{"keys": ["version"]}]}
        return _object("gloo.solo.io/v1", "Upstream", GLOO, self.name, {"kube": kube})


def _object(version: str, kind: str, namespace: str, name: str, spec: Document) -> Document:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
