"""The MetricTemplates: read from a watch, never written."""

from collections.abc import Mapping
from typing import Any

from controller.kube.kept import Kept


class KubeTemplates:
    """Implements `controller.ports.Templates`."""

    def __init__(self, watched: Kept) -> None:
        self._watched = watched

    def of(self, namespace: str) -> Mapping[str, Mapping[str, Any]]:
        """Give the specs of all templates of a namespace by name, as they are stored, valid or not."""
        return {
            document["metadata"]["name"]: document.get("spec") or {}
            for document in self._watched.under(namespace)
        }
