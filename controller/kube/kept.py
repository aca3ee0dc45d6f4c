"""Objects of a kind kept at hand, of one namespace, of several, or of all: read alike."""

from collections.abc import Callable, Hashable, Sequence
from typing import Protocol, Self

from controller.kube.client import Cluster
from controller.kube.resources import Document, Resource
from controller.kube.watch import Index, Listener, Watched, by_namespace


class Kept(Protocol):
    """What ticks ask of a watch."""

    @property
    def resource(self) -> Resource:
        """Give the kind."""
        ...

    @property
    def synced(self) -> bool:
        """Tell whether the objects have been listed at least once."""
        ...

    @property
    def problem(self) -> str:
        """Say why they cannot be read at the moment; empty if they can."""
        ...

    def get(self, namespace: str, name: str) -> Document | None:
        """Give an object as last seen."""
        ...

    def all(self) -> tuple[Document, ...]:
        """Give all objects as last seen."""
        ...

    def under(self, mark: Hashable) -> tuple[Document, ...]:
        """Give the objects with this mark of the index, as last seen."""
        ...

    def put(self, document: Document) -> None:
        """Take in the answer of an own write, unless something newer is known."""
        ...


class Followed(Kept, Protocol):
    """A watch, as the service handles it."""

    def subscribe(self, listener: Listener) -> None:
        """Be told of changes."""
        ...

    def on_recovery(self, listener: Callable[[], None]) -> None:
        """Be told when a problem is over."""
        ...

    def start(self) -> Self:
        """Begin to list and watch."""
        ...

    def stop(self, timeout: float = 1.0) -> None:
        """End it, waiting at most this many seconds."""
        ...


class Several:
    """Implements `Followed` for some namespaces: a watch each, because no request asks for several."""

    def __init__(
        self, cluster: Cluster, resource: Resource, namespaces: Sequence[str], index: Index = by_namespace
    ) -> None:
        self._resource = resource
        self._watches = {each: Watched(cluster, resource, each, index=index) for each in namespaces}

    @property
    def resource(self) -> Resource:
        """Give the kind."""
        return self._resource

    @property
    def synced(self) -> bool:
        """Tell whether every namespace has been listed at least once."""
        return all(watched.synced for watched in self._watches.values())

    @property
    def problem(self) -> str:
        """Say which namespaces cannot be read at the moment, and why; empty if all can."""
        found = ((name, watched.problem) for name, watched in self._watches.items())
        return "; ".join(f"namespace {name}: {problem}" for name, problem in found if problem)

    def get(self, namespace: str, name: str) -> Document | None:
        """Give an object as last seen."""
        watched = self._watches.get(namespace)
        return None if watched is None else watched.get(namespace, name)

    def all(self) -> tuple[Document, ...]:
        """Give all objects as last seen."""
        return tuple(document for watched in self._watches.values() for document in watched.all())

    def under(self, mark: Hashable) -> tuple[Document, ...]:
        """Give the objects with this mark of the index, as last seen."""
        return tuple(document for watched in self._watches.values() for document in watched.under(mark))

    def put(self, document: Document) -> None:
        """Take in the answer of an own write; what is in none of the namespaces is not kept."""
        if (watched := self._watches.get(document["metadata"].get("namespace", ""))) is not None:
            watched.put(document)

    def subscribe(self, listener: Listener) -> None:
        """Be told of changes, from the threads of all watches."""
        for watched in self._watches.values():
            watched.subscribe(listener)

    def on_recovery(self, listener: Callable[[], None]) -> None:
        """Be told when a problem in one of the namespaces is over."""
        for watched in self._watches.values():
            watched.on_recovery(listener)

    def start(self) -> Self:
        """Begin to list and watch."""
        for watched in self._watches.values():
            watched.start()
        return self

    def stop(self, timeout: float = 1.0) -> None:
        """End all watches; they are told to before any is waited for."""
        for seconds in (0.0, timeout):
            for watched in self._watches.values():
                watched.stop(seconds)


def kept(
    cluster: Cluster, resource: Resource, namespaces: Sequence[str] = (), *, index: Index = by_namespace
) -> Followed:
    """Keep the objects of these namespaces; none: of the whole cluster."""
    if len(namespaces) > 1:
        return Several(cluster, resource, namespaces, index)
    return Watched(cluster, resource, next(iter(namespaces), None), index=index)
