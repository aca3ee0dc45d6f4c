"""Canaries with one thing wrong each, and what people are to be told about it."""

import copy
import json
from dataclasses import dataclass, field
from typing import Any

import requests

from releases import Application


Document = dict[str, Any]

APP = "APP"
"""Stands for the application's name (and namespace) in names and messages."""


def named(name: str) -> Document:
    """Refer to an object of Gloo's."""
    return {"name": name, "namespace": "gloo-system"}


@dataclass(frozen=True)
class Mistake:
    """What is wrong, in the spec or around it, and how the condition Stalled begins to say so."""

    said: str
    spec: Document = field(default_factory=dict)
    leads_to: str = APP
    """The Upstream of its own VirtualService."""


MISTAKES = {
    "missing-route": Mistake(
        "spec.routes[0]: VirtualService gloo-system/APP-nowhere not found", {"routes": [named("APP-nowhere")]}
    ),
    "missing-upstream": Mistake(
        "spec.upstream: Upstream gloo-system/APP-nowhere not found",
        {"upstream": named("APP-nowhere")},
        leads_to="APP-nowhere",
    ),
    "elsewhere": Mistake(
        "VirtualService gloo-system/APP-elsewhere: no route leads to Upstream gloo-system/APP; "
        "its routes lead to Upstream gloo-system/APP-plain",
        leads_to="APP-plain",
    ),
    "no-subsets": Mistake(
        "Upstream gloo-system/APP-plain: spec.kube.subsetSpec.selectors declares nothing, so that routes by "
        "version alone would be served by all versions; it should be\n",
        {"upstream": named("APP-plain")},
        leads_to="APP-plain",
    ),
    "same-route": Mistake(
        "route VirtualService gloo-system/APP belongs to the older Canary APP/echo", {"routes": [named(APP)]}
    ),
    "same-pods": Mistake(
        "spec.workload.selector app=echo belongs to the older Canary APP/echo",
        {"workload": {"selector": {"app": "echo"}}},
    ),
    "no-pods": Mistake(
        "spec.workload.selector: no Deployment with pods labelled app=no-pods and a label version"
    ),
    "weight": Mistake(
        "spec.shifting.steps[1]: found 101; a weight is a whole number from 1 to 100",
        {"shifting": {"steps": [20, 101]}},
    ),
    "steps": Mistake(
        "spec.shifting.steps[1]: found 20 after 60; weights must rise", {"shifting": {"steps": [60, 20]}}
    ),
    "percentage": Mistake(
        "spec.analysis.metrics[0].max: found '5 percent'; a share looks like 1% or 0.01",
        {"analysis": {"metrics": [{"name": "m", "ratio": {"bad": "a", "total": "b"}, "max": "5 percent"}]}},
    ),
    "placeholder": Mistake(
        "spec.analysis.metrics[0].query: unknown placeholder {{ vrsion }}; did you mean {{ version }}?",
        {"analysis": {"metrics": [{"name": "m", "query": "up{{ vrsion }}", "max": 1}]}},
    ),
}


class Crowd:
    """The Canaries of `MISTAKES` in an application's namespace; those of `others` have no mistake."""

    def __init__(self, app: Application, others: tuple[str, ...] = ()) -> None:
        self._app = app
        self._mistakes = {**MISTAKES, **dict.fromkeys(others, Mistake(""))}
        self.said = {name: self._filled(mistake.said) for name, mistake in MISTAKES.items()}

    def create(self) -> None:
        """Apply them all, with an Upstream that knows no subsets."""
        plain = self._app.upstream()
        plain["metadata"]["name"] = f"{self._app.name}-plain"
        del plain["spec"]["kube"]["subsetSpec"]
        self._app.apply(plain, *(each for name in self._mistakes for each in self._documents(name)))

    def amend_upstream(self, patch: Document) -> None:
        """Merge this into the Upstream that knows no subsets."""
        where = ("-n", "gloo-system", "upstream", f"{self._app.name}-plain")
        self._app.kubectl("patch", *where, "--type=merge", "-p", json.dumps(patch))

    def delete(self) -> None:
        """Take away what lives outside of the namespace."""
        app = self._app
        routes = [f"virtualservice/{app.name}-{name}" for name in self._mistakes]
        app.kubectl("delete", "-n", "gloo-system", f"upstream/{app.name}-plain", *routes)

    def stalled(self, name: str) -> str:
        """Give the message of the condition Stalled; empty if there is none."""
        for condition in self.status(name).get("conditions", ()):
            if (condition["type"], condition["status"]) == ("Stalled", "True"):
                return str(condition["message"])
        return ""

    def status(self, name: str) -> Document:
        """Give what the controller wrote; empty if nothing."""
        where = f"apis/crossfade.dev/v1alpha1/namespaces/{self._app.namespace}/canaries/{name}"
        answer = requests.get(f"{self._app.cluster.apiserver}/{where}", timeout=5)
        answer.raise_for_status()
        status: Document = answer.json().get("status") or {}
        return status

    def _documents(self, name: str) -> tuple[Document, Document]:
        mistake = self._mistakes[name]
        routes = copy.deepcopy(self._app.virtual_service_manifest())
        routes["metadata"]["name"] = f"{self._app.name}-{name}"
        routes["spec"]["virtualHost"]["domains"] = [f"{name}.{self._app.host}"]
        [route] = routes["spec"]["virtualHost"]["routes"]
        route["routeAction"]["single"]["upstream"] = named(self._filled(mistake.leads_to))
        own = {"workload": {"selector": {"app": name}}, "routes": [named(routes["metadata"]["name"])]}
        canary = self._app.canary_manifest(**self._filled({**own, **mistake.spec}))
        canary["metadata"]["name"] = name
        return routes, canary

    def _filled(self, template: Any) -> Any:
        match template:
            case str():
                return template.replace(APP, self._app.name)
            case dict():
                return {key: self._filled(value) for key, value in template.items()}
            case list():
                return [self._filled(value) for value in template]
            case _:
                return template
