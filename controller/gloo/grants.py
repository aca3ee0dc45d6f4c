"""What the Canaries of a namespace may move: what the settings let them name, and owners grant. Pure.

The settings say in which namespaces beside its own a Canary may name objects. In
strict tenancy the owner of each such object has to grant it as well, by an annotation.

Going back needs no permission: an object that is no longer granted is led back to
stable, if it was divided. It is not if its owner has taken it back: its routes
balance over all versions again, and what becomes of them is nobody else's business.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from config.canary import CanarySpec
from config.routes import RouteRef
from config.versions import UpstreamRef
from controller.gloo.delegation import Place
from controller.gloo.destinations import Target
from controller.gloo.documents import Document, kind_of, name_of, namespace_of
from controller.gloo.overview import rises
from controller.gloo.reading import read
from controller.rollout.moves import Form


ANNOTATION = "crossfade.dev/allow-namespaces"
"""On an object: the namespaces whose Canaries may move it, like `shop,cart`; `*`: all."""
EVERYWHERE = "*"
UNGRANTED = "does not allow Canaries of namespace"

Find = Callable[[UpstreamRef], Document | None]
"""Gives an Upstream by its name, if it is there."""

_VERSIONS = ("spec.versions.stable", "spec.versions.candidate")
_POINTER = "/metadata/annotations/" + ANNOTATION.replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Tenancy:
    """How far Canaries reach beyond their own namespace."""

    allowed: frozenset[str] = frozenset({EVERYWHERE})
    """Namespaces in which they may name objects."""
    strict: bool = False
    """The owner of such an object has to grant it."""


ANYTHING = Tenancy()


@dataclass(frozen=True, slots=True)
class Denial:
    """Something that a Canary may not move."""

    words: str
    """The field, what was found, and what would be right."""
    document: Document | None = None
    """The object whose owner could grant it; None: the settings would have to allow it."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The places of a Canary, as far as they may be moved."""

    places: tuple[Place, ...]
    """All of them."""
    ours: tuple[Place, ...]
    """Those that may be brought into some form: without what its owner has taken back, or never granted."""
    denials: tuple[Denial, ...] = ()
    """Why others may only be led back to stable, or not be touched; while there is one, nothing may rise."""

    @property
    def problem(self) -> str:
        """Say all of it; empty if there is nothing to say."""
        return "; ".join(denial.words for denial in self.denials)


@dataclass(frozen=True, slots=True)
class Grants:
    """What the Canaries of one namespace may move."""

    home: str = ""
    tenancy: Tenancy = ANYTHING

    def reach(self, spec: CanarySpec, found: Sequence[Place], target: Target, form: Form | None) -> Reach:
        """Say which places of a Canary may be moved, and why others may not."""
        denied = {at: why for at, place in enumerate(found) if (why := self._of_place(spec, place))}
        readings = {at: read(found[at].document, target, form, found[at].scope) for at in denied}
        mine = {at for at, reading in readings.items() if found[at].named or not reading.elsewhere}
        lost = {at for at in mine if readings[at].unpinned}
        denials = chain(self._of_names(spec), (denied[at] for at in sorted(mine)))
        return Reach(
            tuple(found),
            tuple(place for at, place in enumerate(found) if at not in lost),
            tuple({denial.words: denial for denial in denials}.values()),
        )

    def of_upstreams(self, spec: CanarySpec, find: Find) -> tuple[Denial, ...]:
        """Say which Upstreams may not be led to, of those that a Canary names."""
        return tuple(self._of_upstreams(spec, find))

    def covers(self, document: Document) -> bool:
        """Tell whether an object may be moved as a release goes on."""
        home = namespace_of(document) == self.home
        return home or (self._allows(namespace_of(document)) and self._is_granted(document))

    def guard(self, document: Document) -> tuple[dict[str, Any], ...]:
        """Give what a JSON Patch tests so that it applies only while the owner grants what it did."""
        if not self.tenancy.strict or namespace_of(document) == self.home:
            return ()
        return ({"op": "test", "path": _POINTER, "value": granted_by(document)},)

    def granting(self, document: Document) -> str:
        """Give what the annotation of an object should be."""
        return ",".join([*_listed(granted_by(document)), self.home])

    def _of_place(self, spec: CanarySpec, place: Place) -> Denial | None:
        document, where = place.document, _where(spec, place)
        if self.covers(document):
            return None
        if self._allows(namespace_of(document)):
            return self._ungranted(where, document)
        if place.named:
            return self._unallowed(where, namespace_of(document))
        return Denial(f"{where}: leads to {name_of(document)}, but {self._may_use}")

    def _of_names(self, spec: CanarySpec) -> Iterator[Denial]:
        for at, ref in enumerate(spec.routes):
            if not self._allows(ref.namespace):
                yield self._unallowed(f"spec.routes[{at}]", ref.namespace)

    def _of_upstreams(self, spec: CanarySpec, find: Find) -> Iterator[Denial]:
        refs = spec.versions.all if spec.versions else (spec.upstream,)
        fields = _VERSIONS if spec.versions else ("spec.upstream",)
        for field, ref in zip(fields, refs, strict=False):
            document = find(ref)
            if not self._allows(ref.namespace):
                yield self._unallowed(field, ref.namespace)
            elif document is not None and not self.covers(document):
                yield self._ungranted(field, {**document, "kind": "Upstream"})

    def _unallowed(self, field: str, namespace: str) -> Denial:
        return Denial(f"{field}.namespace: found {namespace}, but {self._may_use}")

    def _ungranted(self, where: str, document: Document) -> Denial:
        found = granted_by(document)
        words = f"found {ANNOTATION}: {found!r}" if found else f"found no annotation {ANNOTATION}"
        return Denial(
            f"{where}: {name_of(document)} {UNGRANTED} {self.home}, {words}; "
            f"its owner can set it to {self.granting(document)}",
            document,
        )

    def _allows(self, namespace: str) -> bool:
        return namespace == self.home or not self.tenancy.allowed.isdisjoint({EVERYWHERE, namespace})

    def _is_granted(self, document: Document) -> bool:
        return not self.tenancy.strict or not {EVERYWHERE, self.home}.isdisjoint(
            _listed(granted_by(document))
        )

    @property
    def _may_use(self) -> str:
        others = sorted(self.tenancy.allowed - {self.home})
        return (
            f"a Canary of {self.home} may only use {' and '.join([self.home, *others])}; "
            "the controller's allowedNamespaces would have to name it"
        )


def leads_back(place: Place, target: Target, form: Form | None) -> bool:
    """Tell whether a form only takes users away from the candidate, where they are told apart by version."""
    if form is None or rises(place, target, form):
        return False
    return not read(place.document, target, form, place.scope).unpinned


def granted_by(document: Document) -> str:
    """Give the namespaces that an object is granted to, as its owner wrote them."""
    return str(((document.get("metadata") or {}).get("annotations") or {}).get(ANNOTATION) or "")


def _where(spec: CanarySpec, place: Place) -> str:
    """Name the field that a place is reached from, by its own name if it is there."""
    address = (
        kind_of(place.document),
        namespace_of(place.document),
        name_of(place.document).rpartition("/")[2],
    )
    named = (at for at in place.refs if _address_of(spec.routes[at]) == address)
    return f"spec.routes[{next(named, place.refs[0])}]"


def _address_of(ref: RouteRef) -> tuple[str, str, str]:
    return ref.kind, ref.namespace, ref.name


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
