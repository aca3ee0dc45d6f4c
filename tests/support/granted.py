"""The chart's rights on a cluster whose API server asks for them, and what became of every request."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import helm_python as helm
import requests
import yaml

from sandbox.apiserver.requests import Call


Document = dict[str, Any]
Right = tuple[str, str]
"""A resource like `canaries.crossfade.dev/status`, and a verb."""

CHART = Path(__file__).parents[2] / "helm" / "crossfade"
NAMESPACE = "crossfade-system"
_KINDS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}


@dataclass(frozen=True, slots=True)
class Account:
    """A service account, as a release of the chart makes it, and all that it may do."""

    documents: tuple[Document, ...]
    """Itself, its roles, and their bindings."""

    @classmethod
    def of_release(cls, release: str = "crossfade", **values: Any) -> "Account":
        """Render the chart with these values."""
        image = {"image": {"repository": "registry.example.org/crossfade"}}
        with helm.Chart.load(CHART) as chart:
            texts = chart.render(image | values, name=release, namespace=NAMESPACE)
        found = (
            document
            for path, text in texts.items()
            if path.endswith(".yaml")
            for document in yaml.safe_load_all(text)
        )
        return cls(tuple(each for each in found if each and each["kind"] in _KINDS))

    @property
    def name(self) -> str:
        """Name of the user that it is."""
        (account,) = (each for each in self.documents if each["kind"] == "ServiceAccount")
        return f"system:serviceaccount:{account['metadata']['namespace']}:{account['metadata']['name']}"

    def rights(self) -> set[Right]:
        """Give what it may do somewhere."""
        return {right for rule in self.rules() for right in rights_of(rule)}

    def rules(self) -> Iterator[Document]:
        """Give the rules of all roles."""
        for each in self.documents:
            yield from each.get("rules") or ()

    def kubeconfig(self, server: str, path: Path) -> Path:
        """Write a file for KUBECONFIG that is this account's."""
        name = "account"
        context = {"cluster": name, "user": name, "namespace": NAMESPACE}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server}}],
            "users": [{"name": name, "user": {"token": self.name}}],
            "contexts": [{"name": name, "context": context}],
            "current-context": name,
        }
        path.write_text(yaml.safe_dump(config))
        return path


def rights_of(rule: Document) -> Iterator[Right]:
    """Give every right that a rule grants."""
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            plural, slash, subresource = resource.partition("/")
            qualified = f"{plural}.{group}" if group else plural
            yield from ((qualified + slash + subresource, verb) for verb in rule["verbs"])


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that the API server let in, or not."""

    user: str
    call: Call
    allowed: bool


def asked(apiserver: str) -> list[Asked]:
    """Give all kinds of requests that were made since the server was started."""
    found: Iterable[Document] = requests.get(f"{apiserver}/sandbox/authorizations", timeout=5).json()[
        "authorizations"
    ]
    return [
        Asked(
            each["user"],
            Call(each["verb"], each["resource"], each["namespace"], each["name"], each["userAgent"]),
            each["allowed"],
        )
        for each in found
    ]
