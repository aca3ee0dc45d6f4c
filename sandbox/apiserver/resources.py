"""What kinds of objects the server knows: a value per resource and version, and the register of them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias


if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from sandbox.apiserver.documents import Json, Object, Schema
    from sandbox.apiserver.errors import FieldError


GenerationRule: TypeAlias = Literal["none", "spec", "content"]  # what has to change for generation to rise


@dataclass(frozen=True, slots=True)
class Column:
    """One column of kubectl's tables; ``cell`` gets the object and the time of the answer."""

    name: str
    cell: Callable[[Object, datetime], Json]
    type: str = "string"
    format: str = ""
    priority: int = 0  # above 0: only with -o wide
    description: str = ""


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a resource keeps what its scale subresource shows, e.g. ("spec", "replicas")."""

    spec: tuple[str, ...] = ("spec", "replicas")
    status: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ()  # holds a label selector, or one already written as a string


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource in one version, built in or declared by a CustomResourceDefinition."""

    group: str  # "" is the core group
    version: str
    plural: str
    kind: str
    schema: Schema
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    status: bool = False  # has the status subresource
    scale: ScalePaths | None = None
    generation: GenerationRule = "none"
    custom: bool = False  # declared by a CustomResourceDefinition
    path_names: bool = False  # names need not be DNS subdomains: anything that fits into a path
    update_needs_version: bool = False  # an update must carry the resourceVersion it is based on
    storage_version: str = ""  # "": this one
    singular: str = ""
    list_kind: str = ""
    model: str = ""  # the schema's name among the built-in ones
    fields: tuple[str, ...] = ()  # field selectors besides metadata.name and metadata.namespace
    verbs: tuple[str, ...] = (
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    )
    complete: Callable[[Object], None] = lambda _: None  # puts in defaults that depend on other fields
    settle: Callable[[Object], None] = lambda _: None  # sets the part of status that is the server's own
    check: Callable[[Object, Object | None], Iterable[FieldError]] = lambda _new, _old: ()

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name used in messages, e.g. "deployments.apps"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Register:
    """The resources that are served at this moment."""

    def __init__(self, built_in: Sequence[Resource]) -> None:
        self._built_in = tuple(built_in)
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self.changes = 0  # rises with every change, for those who keep something derived

    def __iter__(self) -> Iterator[Resource]:
        yield from self._built_in
        for definition in sorted(self._custom):
            yield from self._custom[definition]

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource served there, or None."""
        return next(
            (each for each in self if (each.group, each.version, each.plural) == (group, version, plural)),
            None,
        )

    def declare(self, definition: str, resources: tuple[Resource, ...]) -> None:
        """Serve what a CustomResourceDefinition declares, in place of what it declared before."""
        self._custom[definition] = resources
        self.changes += 1

    def withdraw(self, definition: str) -> None:
        """Serve a CustomResourceDefinition's resources no longer."""
        self._custom.pop(definition, None)
        self.changes += 1
