"""Envoy's file-based xDS: make before break, and only what Envoy has really taken counts as published.

Clusters and endpoints that routes will need are there before the routes, and go after them. If Envoy
refuses the new routes, the old ones come back and the caller learns which virtual hosts were to blame.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import requests

from sandbox.gloo.translate import Translation
from sandbox.kube import Document
from sandbox.process import wait_until, write_atomically


ROUTES = "gateway"  # the name of Envoy's one route configuration, see sandbox/envoy.py
TYPES = {
    "rds": "envoy.config.route.v3.RouteConfiguration",
    "cds": "envoy.config.cluster.v3.Cluster",
    "eds": "envoy.config.endpoint.v3.ClusterLoadAssignment",
}
PATIENCE = 5.0  # seconds for Envoy to take a file


def discovery_response(kind: str, resources: list[Document]) -> str:
    """Return the content of a file of `kind` rds, cds or eds."""
    typed = [{"@type": f"type.googleapis.com/{TYPES[kind]}", **resource} for resource in resources]
    digest = hashlib.sha256(json.dumps(typed, sort_keys=True).encode()).hexdigest()[:12]
    return json.dumps({"version_info": digest, "resources": typed}, indent=1)


def prepare(folder: Path) -> None:
    """Write the empty files that Envoy needs in order to start, unless there are better ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, resources in (("rds", [{"name": ROUTES, "virtual_hosts": []}]), ("cds", [])):
        path = folder / f"{kind}.json"
        if not path.exists():
            write_atomically(path, discovery_response(kind, cast("list[Document]", resources)))


@dataclass(frozen=True, slots=True)
class Admin:
    """Envoy's admin interface, asked whether it has taken a file; while it is away nothing is waited for."""

    url: str

    def clusters(self) -> set[str] | None:
        """Return the names of the clusters that are ready to be used; None if Envoy is not there."""
        answer = self._get("/clusters?format=json")
        return None if answer is None else {c["name"] for c in answer.get("cluster_statuses", [])}

    def route_updates(self) -> tuple[int, int] | None:
        """Return how many route configurations Envoy has taken and how many it refused; None if away."""
        prefix = f"http.{ROUTES}.rds.{ROUTES}."
        answer = self._get(f"/stats?format=json&filter=^http.{ROUTES}.rds")
        if answer is None:
            return None
        counters = {stat["name"]: stat["value"] for stat in answer["stats"] if "name" in stat}
        refused = counters.get(f"{prefix}update_rejected", 0) + counters.get(f"{prefix}update_failure", 0)
        return counters.get(f"{prefix}update_success", 0), refused

    def _get(self, path: str) -> Document | None:
        try:
            answer = requests.get(self.url + path, timeout=2)
            return cast("Document", answer.json())
        except requests.RequestException:
            return None


class Publisher:
    """Writes translations into `folder`, where one Envoy reads them."""

    def __init__(self, folder: Path, admin: Admin) -> None:
        self._folder = folder
        self._admin = admin

    def published(self) -> dict[str, Document]:
        """Return the virtual hosts that Envoy was last given."""
        [routes] = json.loads((self._folder / "rds.json").read_text())["resources"]
        return {host["name"]: host for host in routes.get("virtual_hosts", [])}

    def publish(self, translation: Translation) -> set[str]:
        """Bring Envoy to the translation; return the virtual hosts whose routes it refused to take."""
        before = self.published()
        for name, assignment in translation.endpoints.items():
            self._write(f"eds-{name}.json", discovery_response("eds", [assignment]))
        old = self._clusters()
        new = {name: self._with_endpoints(cluster) for name, cluster in translation.clusters.items()}
        if self._write("cds.json", discovery_response("cds", list({**old, **new}.values()))):
            self._await_clusters(new.keys())
        refused = self._routes(before, translation.virtual_hosts)
        self._write("cds.json", discovery_response("cds", list(new.values())))
        for name in old.keys() - new.keys():
            (self._folder / f"eds-{name}.json").unlink(missing_ok=True)
        return refused

    def _routes(self, before: Mapping[str, Document], wanted: Mapping[str, Document]) -> set[str]:
        if self._taken(wanted):
            return set()
        changed = {name for name, host in wanted.items() if before.get(name) != host}
        taken = {name: host for name, host in before.items() if name in wanted}
        refused = set()
        self._taken(taken)
        for name in sorted(changed):  # one at a time, so that only the guilty ones are refused
            attempt = {**taken, name: wanted[name]}
            if self._taken(attempt):
                taken = attempt
            else:
                refused.add(name)
                self._taken(taken)
        return refused

    def _taken(self, hosts: Mapping[str, Document]) -> bool:
        """Write the routes and wait for Envoy's answer; without an Envoy they count as taken."""
        count = self._admin.route_updates()
        if not self._write_routes(hosts) or count is None:
            return True
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            now = self._admin.route_updates()
            if now is None or now[0] > count[0]:
                return True
            if now[1] > count[1]:
                return False
            time.sleep(0.01)
        return True

    def _write_routes(self, hosts: Mapping[str, Document]) -> bool:
        routes = {"name": ROUTES, "virtual_hosts": [hosts[name] for name in sorted(hosts)]}
        return self._write("rds.json", discovery_response("rds", [routes]))

    def _clusters(self) -> dict[str, Document]:
        clusters = json.loads((self._folder / "cds.json").read_text())["resources"]
        return {cluster["name"]: {k: v for k, v in cluster.items() if k != "@type"} for cluster in clusters}

    def _with_endpoints(self, cluster: Document) -> Document:
        source = {
            "path_config_source": {"path": str(self._folder / f"eds-{cluster['name']}.json")},
            "resource_api_version": "V3",
        }
        return {**cluster, "eds_cluster_config": {"eds_config": source}}

    def _await_clusters(self, names: AbstractSet[str]) -> None:
        def there() -> bool:
            clusters = self._admin.clusters()
            return clusters is None or names <= clusters

        wait_until(there, PATIENCE, pause=0.01)

    def _write(self, name: str, text: str) -> bool:
        path = self._folder / name
        if path.exists() and path.read_text() == text:
            return False
        write_atomically(path, text)
        return True
