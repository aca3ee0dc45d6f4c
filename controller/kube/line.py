"""Whether the line is stopped: a ConfigMap that is there, read from a watch, never written."""

from controller.kube.resources import Document
from controller.kube.watch import Watched


LONGEST = 256
"""Characters of somebody's reason that are shown."""


class KubeLine:
    """Implements `controller.ports.Line` by the ConfigMap that `watched` follows, and it alone."""

    def __init__(self, watched: Watched, namespace: str, name: str) -> None:
        self._watched = watched
        self._namespace = namespace
        self._name = name

    def stopped(self) -> str:
        """Say by what all releases are stopped and why; a line that cannot be seen counts as stopped."""
        if (document := self._watched.get(self._namespace, self._name)) is not None:
            return told(document)
        if not self._watched.synced:
            called = f"ConfigMap {self._namespace}/{self._name}"
            return f"because {called} cannot be read ({self._watched.problem or 'not listed yet'})"
        return ""


def told(document: Document) -> str:
    """Say by which ConfigMap all releases are stopped, and why: `by ConfigMap ops/stop: disk full`."""
    metadata = document["metadata"]
    return f"by ConfigMap {metadata['namespace']}/{metadata['name']}: {_reason(document)}"


def _reason(document: Document) -> str:
    """Give `data.reason` on one line, without what could play tricks on a terminal."""
    data = document.get("data")
    text = str(data.get("reason") or "") if isinstance(data, dict) else ""
    words = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not words:
        return "its data.reason does not say why"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
