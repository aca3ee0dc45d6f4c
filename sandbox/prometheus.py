"""Real Prometheus, found on PATH or unpacked from the distribution's package, and what it scrapes."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.kube import Document
from sandbox.process import write_atomically


INSTALL = (
    "Prometheus is not on PATH and could not be fetched with apt-get. "
    "Install it (a package called prometheus exists for most systems) so that `prometheus --version` works."
)


class NoPrometheusError(Exception):
    """There is no Prometheus; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Server:
    """One Prometheus: where it listens and keeps its data, the file of its targets, how often it scrapes."""

    folder: Path
    port: int
    targets: Path
    envoy_admin: str
    scrape_interval: str = "1s"

    def prepare(self, program: Path) -> list[str]:
        """Write the configuration and return the command that starts it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "prometheus.yaml"
        write_atomically(config, yaml.safe_dump(self.configuration(), sort_keys=False))
        return [
            str(program),
            f"--config.file={config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]

    def configuration(self) -> Document:
        """Return what to scrape: the pods that the kubelet writes down, and Envoy."""
        pods = {
            "job_name": "pods",
            "honor_labels": True,  # the version that the application reports is the one that counts
            "file_sd_configs": [{"files": [str(self.targets)]}],
        }
        envoy = {
            "job_name": "envoy",
            "metrics_path": "/stats/prometheus",
            "static_configs": [{"targets": [self.envoy_admin.removeprefix("http://")]}],
        }
        interval = self.scrape_interval
        return {
            "global": {"scrape_interval": interval, "evaluation_interval": interval},
            "scrape_configs": [pods, envoy],
        }


def find(cache: Path) -> Path:
    """Return the program: from PATH, else from `cache`, else fetched into it; no root, no service started.

    Raises:
        NoPrometheusError: none of these works.
    """
    if found := shutil.which("prometheus"):
        return Path(found)
    program = cache / "usr/bin/prometheus"
    if not program.exists():
        cache.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
            _fetch(Path(folder))
            if not program.exists():  # somebody else may have been quicker
                (Path(folder) / "root").rename(cache)
    return program


def cache_folder() -> Path:
    """Return where the unpacked package is kept for all sandboxes."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crossfade" / "prometheus"


def _fetch(folder: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        raise NoPrometheusError(INSTALL)
    download = ["apt-get", "download", "prometheus"]
    if not _succeeds(download, folder):  # lists missing or old: fetch lists of our own
        lists, archives = folder / "lists", folder / "archives"
        (lists / "partial").mkdir(parents=True)
        (archives / "partial").mkdir(parents=True)
        private = ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}"]
        _succeeds(["apt-get", *private, "update"], folder)
        _succeeds(["apt-get", *private, "download", "prometheus"], folder)
    packages = list(folder.glob("prometheus_*.deb"))
    if not packages or not _succeeds(["dpkg", "-x", str(packages[0]), str(folder / "root")], folder):
        raise NoPrometheusError(INSTALL)


def _succeeds(command: Sequence[str], folder: Path) -> bool:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0  # noqa: S603  # ours
