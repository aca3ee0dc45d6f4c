"""A kind of object, kept at hand: listed once, then watched.

The tick reads from here and makes no request. Own writes are put in as well, so
that the next tick sees them whether or not the watch has told of them yet; what
the watch tells later than it happened never overwrites what is newer. (Kubernetes'
own SharedInformer cannot be used: with custom objects it raises TypeError.)

Silence is not trusted. A server that has nothing to tell sends a bookmark before a
watch ends; after one that brought neither, everything is listed again. The same if
resourceVersions go back, as they do when a cluster is restored from a backup.
"""

import enum
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Self

import structlog

from controller.errors import EdgeError, Forbidden, NotFound, Unavailable
from controller.kube.answers import Expired
from controller.kube.client import Cluster
from controller.kube.resources import Document, Resource
from controller.kube.stream import Silent


Listener = Callable[[str, str, Document | None], None]
"""Called with namespace, name and the document, None once it is gone."""

Index = Callable[[Document], Iterable[Hashable]]
"""Gives the marks under which a document is to be found again."""

_Address = tuple[str, str]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between attempts when the server is away, and the length of one watch."""

    first: float = 0.5
    longest: float = 15.0
    watch: float = 30.0
    """Silence is noticed after this, or a quarter more if the server does not end the watch either."""


_PACE = Pace()


class _End(enum.Enum):
    """How a watch came to its end."""

    FRUITFUL = enum.auto()
    """It brought events or bookmarks, or was cut short before it could."""
    SILENT = enum.auto()
    AT_ONCE = enum.auto()


def _nothing() -> None: ...


def by_namespace(document: Document) -> Iterable[Hashable]:
    """Mark a document by its namespace."""
    return (document["metadata"].get("namespace", ""),)


class Watched:
    """All objects of a kind in a namespace (None: in the cluster), as last seen.

    Documents are shared: treat them as read-only. Thread-safe.
    """

    def __init__(
        self,
        cluster: Cluster,
        resource: Resource,
        namespace: str | None = None,
        *,
        index: Index = by_namespace,
        pace: Pace = _PACE,
    ) -> None:
        self.resource = resource
        self._index = index
        self._cluster = cluster
        self._namespace = namespace
        self._name: str | None = None
        self._pace = pace
        self._listeners: list[Listener] = []
        self._relieved: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._documents: dict[_Address, Document] = {}
        self._marked: dict[Hashable, dict[_Address, Document]] = {}
        self._reached = ""  # the resourceVersion up to which the documents are complete
        self._listed = threading.Event()
        self._stopping = threading.Event()
        self._end_stream: Callable[[], None] = _nothing
        self._problem = ""
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"watch-{resource}", daemon=True)

    def only(self, name: str) -> Self:
        """Follow the object of this name alone, whether or not it is there; call it before `start`."""
        self._name = name
        return self

    def subscribe(self, listener: Listener) -> None:
        """Be told of changes, from the watch's own thread; own writes that come back are not told again."""
        self._listeners.append(listener)

    def on_recovery(self, listener: Callable[[], None]) -> None:
        """Be told when a problem is over, although no object may have changed meanwhile."""
        self._relieved.append(listener)

    def start(self) -> Self:
        """Begin to list and watch."""
        self._thread.start()
        return self

    def stop(self, timeout: float = 1.0) -> None:
        """End the watch, waiting for it at most this many seconds; the documents stay readable."""
        self._stopping.set()
        with self._lock:
            end_stream = self._end_stream
        end_stream()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def wait(self, timeout: float) -> bool:
        """Wait until the first list has arrived; tell whether it has."""
        return self._listed.wait(timeout)

    @property
    def synced(self) -> bool:
        """Tell whether the objects have been listed at least once."""
        return self._listed.is_set()

    @property
    def problem(self) -> str:
        """Say why the cluster cannot be read at the moment; empty if it can."""
        return self._problem

    def get(self, namespace: str, name: str) -> Document | None:
        """Give an object as last seen."""
        with self._lock:
            return self._documents.get((namespace, name))

    def all(self) -> tuple[Document, ...]:
        """Give all objects as last seen."""
        with self._lock:
            return tuple(self._documents.values())

    def under(self, mark: Hashable) -> tuple[Document, ...]:
        """Give the objects with this mark of the index, as last seen; the others cost nothing."""
        with self._lock:
            return tuple(self._marked.get(mark, {}).values())

    def put(self, document: Document) -> None:
        """Take in the answer of an own write, unless something newer is known."""
        address = _address(document)
        with self._lock:
            known = self._documents.get(address)
            if _is_older(_version(document), _version(known) if known else self._reached):
                return  # the watch has told of something newer, perhaps of its end
            self._keep(address, document)

    def _run(self) -> None:
        listed = False
        while not self._stopping.is_set():
            try:
                if not listed:
                    self._list()
                    listed = True
                match self._follow():
                    case _End.FRUITFUL:
                        self._failures = 0
                    case _End.SILENT:
                        listed = self._heard_nothing()
                    case _End.AT_ONCE:
                        self._pause()  # a server that ends watches at once is not to be hammered
            except Expired:
                listed = False
                self._pause()
            except Silent:
                listed = self._heard_nothing()
            except EdgeError as error:
                listed = listed and isinstance(error, Unavailable)
                self._trouble(error)
            except Exception as error:  # noqa: BLE001  # the thread must survive any listener and document
                listed = False
                self._trouble(error)

    def _list(self) -> None:
        """Replace everything by what the server has now, also if that is older: it may have been restored."""
        with self._lock:
            asked = dict(self._documents)
        listing = self._cluster.list(self.resource, self._namespace, self._name)
        fresh = {_address(document): document for document in listing.documents}
        with self._lock:
            before = self._documents
            for address, document in before.items():
                ours = document is not asked.get(address)  # written while the list was on its way
                if ours and _is_older(listing.resource_version, _version(document)):
                    fresh[address] = document
            self._documents, self._marked = {}, {}
            for address, document in fresh.items():
                self._keep(address, document)
            self._reached = listing.resource_version
        self._listed.set()
        for address in before.keys() | fresh.keys():
            if before.get(address) != fresh.get(address):
                self._tell(address)

    def _follow(self) -> _End:
        """Watch until the watch ends; tell how it did."""
        began = time.monotonic()
        stream = self._cluster.watch(
            self.resource,
            self._namespace,
            self._name,
            resource_version=self._reached,
            seconds=self._pace.watch,
        )
        with self._lock:
            self._end_stream = stream.close
        if self._stopping.is_set():
            stream.close()
        if self._problem:
            self._recover()
        fruitful = False
        for change in stream:
            self._failures = 0
            fruitful = True
            self._take(change.type, change.document)
        lasted = time.monotonic() - began
        if fruitful or self._stopping.is_set():
            return _End.FRUITFUL
        if lasted >= self._pace.watch / 2:
            return _End.SILENT
        return _End.FRUITFUL if lasted > self._pace.first else _End.AT_ONCE

    def _heard_nothing(self) -> bool:
        """Note that what is at hand may be old; it is not known to be complete any more."""
        self._failures = 0
        _log.info("watch.silent", resource=str(self.resource), detail="listing everything again")
        return False

    def _take(self, kind: str, document: Document) -> None:
        address = _address(document)
        version = _version(document)
        with self._lock:
            if _is_older(version, self._reached):
                raise Expired(f"{self.resource}: resourceVersion {version} after {self._reached}")
            self._reached = version or self._reached
            if kind == "BOOKMARK":
                return
            known = self._documents.get(address)
            if known and _version(known) == version and kind != "DELETED":
                return  # our own write, come back
            if known is None or not _is_older(version, _version(known)):
                self._keep(address, None if kind == "DELETED" else document)
        self._tell(address)

    def _keep(self, address: _Address, document: Document | None) -> None:
        """Replace an object and its marks; None: it is gone."""
        before = self._documents.pop(address, None)
        for mark in self._index(before) if before is not None else ():
            self._marked[mark].pop(address, None)
            if not self._marked[mark]:
                del self._marked[mark]
        if document is not None:
            self._documents[address] = document
            for mark in self._index(document):
                self._marked.setdefault(mark, {})[address] = document

    def _tell(self, address: _Address) -> None:
        document = self.get(*address)
        for listener in self._listeners:
            listener(*address, document)

    def _trouble(self, error: Exception) -> None:
        """Note what is wrong (a connection that breaks once is nothing yet), and wait a little."""
        if self._stopping.is_set():
            return
        problem = self._described(error)
        lasting = not isinstance(error, Unavailable) or self._failures > 0 or not self.synced
        if lasting and problem != self._problem:
            unforeseen = None if isinstance(error, EdgeError) else error
            _log.warning("watch.failed", resource=str(self.resource), problem=problem, exc_info=unforeseen)
            self._problem = problem
        self._pause()

    def _recover(self) -> None:
        _log.info("watch.recovered", resource=str(self.resource))
        self._problem = ""
        for listener in self._relieved:
            listener()

    def _pause(self) -> None:
        seconds = min(self._pace.longest, self._pace.first * 2.0 ** min(self._failures, 10))
        self._failures += 1
        self._stopping.wait(seconds * random.uniform(0.5, 1.0))  # noqa: S311  # no secret

    def _described(self, error: Exception) -> str:
        match error:
            case NotFound():
                return f"the CRD {self.resource} ({self.resource.version}) is not installed"
            case Forbidden():
                return f"forbidden: {error}"
            case EdgeError():
                return f"unavailable: {error}"
            case _:
                return f"unforeseen {type(error).__name__}: {error}"


def _address(document: Document) -> _Address:
    metadata = document["metadata"]
    return metadata.get("namespace", ""), metadata.get("name", "")


def _version(document: Document) -> str:
    return str(document["metadata"].get("resourceVersion", ""))


def _is_older(version: str, than: str) -> bool:
    """Compare resourceVersions; where they are no numbers, the one that came last counts as newer."""
    return version.isdigit() and than.isdigit() and int(version) < int(than)
