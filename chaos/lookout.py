"""Keeps looking at all Canaries, once for everybody who wants to know."""

import threading
from typing import Self

import requests

from chaos.estate import Document
from sandbox.cluster import Cluster


EVERY = 0.3
"""Seconds."""


class Lookout:
    """Looks in a thread of its own, inside of `with`; while the API server is away, the last look counts."""

    def __init__(self, cluster: Cluster) -> None:
        self._url = f"{cluster.apiserver}/apis/crossfade.dev/v1alpha1/canaries"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lookout", daemon=True)
        self._canaries: dict[str, Document] = {}
        self._ended: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def canary(self, namespace: str) -> Document:
        """Give the Canary of a namespace; empty if none was seen."""
        return self._canaries.get(namespace, {})

    @property
    def ended(self) -> int:
        """Say how many rollouts have ended, of all applications."""
        return len(self._ended)

    def _run(self) -> None:
        with requests.Session() as session:
            while not self._over.wait(EVERY):
                try:
                    answer = session.get(self._url, timeout=2)
                    answer.raise_for_status()
                    items = answer.json()["items"]
                except requests.RequestException:
                    continue
                self._canaries = {item["metadata"]["namespace"]: item for item in items}
                self._ended |= {
                    (name, entry["startedAt"])
                    for name, item in self._canaries.items()
                    for entry in item.get("status", {}).get("history", ())
                }
