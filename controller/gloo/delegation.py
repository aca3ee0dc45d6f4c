"""From the objects that a Canary names to all documents that hold its routes.

A VirtualService or RouteTable stands for its own routes and for those of the
RouteTables that it delegates to, as Gloo finds them: by reference, by the older
name and namespace in the action itself, or by selector; and so on below these. A
reference needs its namespace; what it does not find leads nowhere. A RouteTable
that is reached twice is one place. A circle ends where nothing new is learnt.

An UpstreamGroup is managed only where it is named, because any route of anybody
may lead to it.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from config.routes import RouteRef
from controller.gloo.destinations import Target, destination_of, entries_of
from controller.gloo.documents import (
    ROUTE_TABLE,
    UPSTREAM_GROUP,
    Document,
    kind_of,
    namespace_of,
    opened,
    routes_of,
)
from controller.gloo.matchers import Matcher, matchers_of
from controller.gloo.roles import action_of
from controller.gloo.scope import Address, Choice, Scope, group_of
from controller.gloo.selectors import Tables, selected


class Shelf(Tables, Protocol):
    """Gloo's objects at hand."""

    def get(self, kind: str, namespace: str, name: str) -> Document | None:
        """Give an object; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A document that holds routes of a Canary, and which of them."""

    document: Document
    refs: tuple[int, ...]
    """The positions in spec.routes that it is reached from, in order."""
    named: bool
    """It is in spec.routes itself."""
    scope: Scope


def places(refs: Sequence[RouteRef], target: Target, shelf: Shelf) -> tuple[Place, ...]:
    """Find every document that holds routes of a Canary; those that are named come first, in order."""
    visits: dict[_Key, list[_Visit]] = {}
    todo = deque(_roots(refs, shelf))
    while todo:
        visit = todo.popleft()
        known = visits.setdefault(visit.key, [])
        if not all(visit.teaches(each) for each in known):
            continue
        known.append(visit)
        if kind_of(visit.document) != UPSTREAM_GROUP:
            todo.extend(_below(visit, shelf))
    groups = _groups(refs, target, shelf)
    return tuple(_place(found, refs, groups, shelf) for found in visits.values())


def choice_of(ref: RouteRef) -> Choice:
    """Give which routes of an object and of those below it were chosen."""
    return Choice(frozenset(ref.names), frozenset(ref.prefixes))


class _Key(NamedTuple):
    kind: str
    namespace: str
    name: str


class _Visit(NamedTuple):
    document: Document
    at: int
    """The position in spec.routes."""
    above: tuple[Matcher, ...] = ()
    """Matchers with conditions on the way here, each once."""
    mixed: bool = False
    """Gloo sorts its routes among those of other RouteTables."""
    named: bool = False

    @property
    def key(self) -> _Key:
        name = str((self.document.get("metadata") or {}).get("name"))
        return _Key(kind_of(self.document), namespace_of(self.document), name)

    def teaches(self, known: "_Visit") -> bool:
        """Tell whether this says more than an earlier visit of the same document."""
        news = any(matcher not in known.above for matcher in self.above) or self.mixed > known.mixed
        return self.at != known.at or news


def _roots(refs: Sequence[RouteRef], shelf: Shelf) -> Iterator[_Visit]:
    for at, ref in enumerate(refs):
        document = shelf.get(ref.kind, ref.namespace, ref.name)
        if document is not None:
            yield _Visit(document, at, named=True)


def _below(visit: _Visit, shelf: Shelf) -> Iterator[_Visit]:
    for route in routes_of(visit.document):
        delegate = route.get("delegateAction")
        if not delegate:
            continue
        conditions = (each for each in matchers_of(route) if _has_conditions(each))
        above = (*visit.above, *(each for each in conditions if each not in visit.above))
        tables = list(_tables(delegate, namespace_of(visit.document), shelf))
        weights = Counter(map(_weight, tables))
        for table in tables:
            yield _Visit(table, visit.at, above, visit.mixed or weights[_weight(table)] > 1)


def _weight(table: Document) -> int:
    return int((table.get("spec") or {}).get("weight") or 0)


def _has_conditions(matcher: Matcher) -> bool:
    return any(matcher.get(field) for field in ("headers", "queryParameters", "methods"))


def _tables(delegate: Mapping[str, Any], home: str, shelf: Shelf) -> Iterable[Document]:
    old = {field: delegate[field] for field in ("namespace", "name") if delegate.get(field)}
    if reference := old or delegate.get("ref"):
        found = shelf.get(ROUTE_TABLE, reference.get("namespace") or "", reference.get("name") or "")
        return () if found is None else (found,)
    selector = delegate.get("selector")
    return () if selector is None else selected(shelf, selector, home)


def _place(visits: Sequence[_Visit], refs: Sequence[RouteRef], groups: "_Groups", shelf: Shelf) -> Place:
    document = visits[0].document
    positions = tuple(sorted({visit.at for visit in visits}))
    choices = dict.fromkeys(choice_of(refs[at]) for at in positions)
    above: list[Matcher] = []
    for visit in visits:
        above += [matcher for matcher in visit.above if matcher not in above]
    addresses = {group_of(route) for route in routes_of(document)} - {None}
    unnamed = frozenset(each for each in addresses if each and groups.leads_unnamed(each, shelf))
    mixed = any(visit.mixed for visit in visits)
    scope = Scope(tuple(choices), groups.managed, unnamed, tuple(above), mixed)
    return Place(document, positions, any(visit.named for visit in visits), scope)


@dataclass(frozen=True, slots=True)
class _Groups:
    """UpstreamGroups as seen by one Canary."""

    target: Target
    named: frozenset[Address]
    managed: Mapping[Address, Mapping[str, Any]]

    def leads_unnamed(self, address: Address, shelf: Shelf) -> bool:
        """Tell whether a group leads to the Upstream without being named."""
        group = None if address in self.named else shelf.get(UPSTREAM_GROUP, *address)
        return group is not None and _ours(group, self.target) is not None


def _groups(refs: Sequence[RouteRef], target: Target, shelf: Shelf) -> _Groups:
    named = [(ref.namespace, ref.name) for ref in refs if ref.kind == UPSTREAM_GROUP]
    managed = {}
    for address in named:
        group = shelf.get(UPSTREAM_GROUP, *address)
        ours = None if group is None else _ours(group, target)
        if ours is not None:
            managed[address] = ours
    return _Groups(target, frozenset(named), managed)


def _ours(group: Document, target: Target) -> Mapping[str, Any] | None:
    """Give the first destination of a group that leads to the Upstream."""
    [route], target = opened(group, target)
    found = (destination_of(entry) for entry in entries_of(action_of(route)))
    return next((each for each in found if target.version(each) is not None), None)
