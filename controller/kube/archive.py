"""The windows of a rollout in a ConfigMap beside its Canary: kept for `explain`, never read to decide."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.ledger import MOST_BYTES, MOST_WINDOWS, Ledger, is_window, number_in, of_texts, size_of
from analysis.record import Record, UnreadableRecordError, beginning, name_of, number_of
from analysis.verdict import Memory
from config.canary import KIND
from config.load import load_spec
from config.problems import SpecError
from config.status import Status
from controller.errors import Conflict, NotFound, Refused
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, CONFIG_MAPS, Document
from controller.ports import CanaryObject, Key


ATTEMPTS = 3
"""How often it is begun again because the ConfigMap changed."""
LABELS = {"app.kubernetes.io/managed-by": "crossfade"}

_LONGEST_NAME = 253
_SUFFIX = "-evidence"


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a ConfigMap since it was last read or written."""

    uid: str
    """Of the Canary that owns it."""
    started_at: str
    """Of the rollout that it is about."""
    resource_version: str
    sizes: Mapping[str, int]
    """Bytes of each text."""
    last: int
    """Number of the last window in it, or of its beginning."""


class KubeArchive:
    """Implements `controller.ports.Archive`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[Key, _Known] = {}

    def save(self, canary: CanaryObject, status: Status) -> None:
        """Store the windows of a status that are not stored yet: one write, and usually no read.

        Raises:
            Refused: the ConfigMap of that name belongs to somebody else, or is not wanted by the server.
            Conflict: it keeps changing.

        """
        if not status.windows or status.started_at is None:
            return
        for _ in range(ATTEMPTS):
            known = self._known.pop(canary.key, None)
            try:
                written = self._append(canary, status, known) or self._write(canary, status)
            except (Conflict, NotFound):
                continue
            self._known[canary.key] = written
            return
        raise Conflict(f"ConfigMap {_address(canary.key)} keeps changing")

    def forget(self, key: Key) -> None:
        """Drop what is cached of a Canary that is gone."""
        self._known.pop(key, None)

    def _append(self, canary: CanaryObject, status: Status, known: _Known | None) -> _Known | None:
        """Add the new windows to a ConfigMap that is known to have all before them, and room for them."""
        if known is None or (known.uid, known.started_at) != (canary.uid, _started(status)):
            return None
        news = [each for each in status.windows if number_of(each) > known.last]
        if not news:
            return known
        texts = Ledger({}, None, tuple(news), _settings(status, news)).texts()
        added = {key: text for key, text in texts.items() if key not in known.sizes}
        sizes = {**known.sizes, **{key: size_of((key, text)) for key, text in added.items()}}
        full = sum(sizes.values()) > MOST_BYTES or sum(map(is_window, sizes)) > MOST_WINDOWS
        if full or number_of(news[0]) > known.last + 1:
            return None
        patch = {"metadata": {"resourceVersion": known.resource_version}, "data": added}
        stored = self._cluster.patch(CONFIG_MAPS, canary.key.namespace, name_for(canary.key.name), patch)
        return _known(canary, stored)

    def _write(self, canary: CanaryObject, status: Status) -> _Known:
        """Read what is there, and write everything anew if anything is missing."""
        found = self._read(canary)
        before = None if found is None else _stored(found)
        after = gathered(before, status).bounded()
        if found is not None and after == before:
            return _known(canary, found)
        document = {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": "ConfigMap",
            "metadata": _metadata(canary, found),
            "data": after.texts(),
        }
        if found is None:
            return _known(canary, self._cluster.create(CONFIG_MAPS, canary.key.namespace, document))
        return _known(canary, self._cluster.replace(CONFIG_MAPS, document))

    def _read(self, canary: CanaryObject) -> Document | None:
        try:
            found = self._cluster.read(CONFIG_MAPS, canary.key.namespace, name_for(canary.key.name))
        except NotFound:
            return None
        if not is_owned(found, canary.uid):
            raise Refused(
                f"ConfigMap {_address(canary.key)} is there already and not owned by this Canary: "
                "rename or delete it; until then no windows are kept for `crossfade explain`"
            )
        return found


def name_for(canary: str) -> str:
    """Name the ConfigMap of a Canary."""
    return canary[: _LONGEST_NAME - len(_SUFFIX)].rstrip("-.") + _SUFFIX


def is_owned(document: Document, uid: str) -> bool:
    """Tell whether an object belongs to the Canary with this uid."""
    owners = document["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid for owner in owners)


def gathered(stored: Ledger | None, status: Status) -> Ledger:
    """Give all windows of the rollout that a status is about: what is stored, and its own (it has some)."""
    known = stored
    if known is None or known.rollout.get("startedAt") != _started(status):
        known = Ledger(_rollout(status))
    windows, now = status.windows, Memory(status.metrics, status.weighed)
    first, last = str(windows[0].get("analysis")), str(windows[-1].get("analysis"))
    if number_of(windows[0]) == 1 and status.surveyed_at is None:  # it began with nothing
        windows = (beginning(Memory(), first), *windows)
    return known.with_windows(windows, _settings(status, windows), beginning(now, last))


def _stored(found: Document) -> Ledger | None:
    """Read what is stored; None if it cannot be read."""
    try:
        return of_texts(found.get("data") or {})
    except UnreadableRecordError:
        return None


def _known(canary: CanaryObject, stored: Document) -> _Known:
    texts: dict[str, str] = stored["data"]
    windows = [number_in(key) for key in texts if is_window(key)]
    around = of_texts({key: text for key, text in texts.items() if not is_window(key)})
    return _Known(
        uid=canary.uid,
        started_at=str(around.rollout["startedAt"]),
        resource_version=stored["metadata"]["resourceVersion"],
        sizes={key: size_of((key, text)) for key, text in texts.items()},
        last=max([around.last, *windows]),
    )


def _settings(status: Status, windows: Sequence[Record]) -> dict[str, Any]:
    """Give the settings that these windows were judged by, by name, as far as they are still known."""
    try:
        analysis = load_spec(status.observed_spec).analysis
    except SpecError:
        return {}
    name = name_of(analysis)
    if all(each.get("analysis") != name for each in windows):
        return {}
    return {name: analysis.model_dump(mode="json", by_alias=True)}


def _rollout(status: Status) -> dict[str, Any]:
    ended = status.history[0].revision if status.history else None
    candidate, stable = (status.candidate, status.stable) if status.candidate else (ended, None)
    return {
        "candidate": asdict(candidate) if candidate else None,
        "stable": asdict(stable) if stable else None,
        "startedAt": _started(status),
    }


def _started(status: Status) -> str:
    return status.started_at.isoformat() if status.started_at else ""


def _metadata(canary: CanaryObject, found: Document | None) -> Document:
    known: Document = {} if found is None else found["metadata"]
    owner = {
        "apiVersion": CANARIES.api_version,
        "kind": KIND,
        "name": canary.key.name,
        "uid": canary.uid,
        "controller": True,
    }
    return {
        "ownerReferences": [owner],
        **{name: value for name, value in known.items() if name != "managedFields"},
        "name": name_for(canary.key.name),
        "namespace": canary.key.namespace,
        "labels": {**(known.get("labels") or {}), **LABELS},
    }


def _address(key: Key) -> str:
    return f"{key.namespace}/{name_for(key.name)}"
