"""Which RouteTables a delegation selects by their labels, as Gloo does it.

Namespaces are those of the selector, `*` for all, or that of the route which delegates. A
selector with labels and expressions at once, or with an expression that says nothing,
selects none; Gloo warns about it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from controller.gloo.documents import Document


Selector = Mapping[str, Any]
Expression = Mapping[str, Any]

EVERYWHERE = "*"

_OPERATORS = (
    "Equals",
    "DoubleEquals",
    "NotEquals",
    "In",
    "NotIn",
    "Exists",
    "DoesNotExist",
    "GreaterThan",
    "LessThan",
)
"""By their numbers, which old objects carry."""
_ONE_VALUE = {"Equals", "DoubleEquals", "NotEquals"}
_SOME_VALUES = {"In", "NotIn"}
_NO_VALUE = {"Exists", "DoesNotExist"}


class Tables(Protocol):
    """The RouteTables at hand."""

    def tables(self, namespaces: Collection[str] | None) -> Iterable[Document]:
        """Give the RouteTables of these namespaces; None: of all."""
        ...


def selected(shelf: Tables, selector: Selector, home: str) -> list[Document]:
    """Give the RouteTables that a selector picks, by namespace and name; `home`: where it stands."""
    labels, expressions = selector.get("labels") or {}, selector.get("expressions") or ()
    if (labels and expressions) or not all(map(_is_valid, expressions)):
        return []
    namespaces = set(selector.get("namespaces") or (home,))
    found = shelf.tables(None if EVERYWHERE in namespaces else namespaces)
    return sorted((table for table in found if _fits(table, labels, expressions)), key=_address)


def _fits(table: Document, labels: Mapping[str, str], expressions: Sequence[Expression]) -> bool:
    found = (table.get("metadata") or {}).get("labels") or {}
    return labels.items() <= found.items() and all(_holds(each, found) for each in expressions)


def _holds(expression: Expression, labels: Mapping[str, str]) -> bool:
    found, values = labels.get(str(expression.get("key"))), _values(expression)
    match _operator(expression):
        case "Equals" | "DoubleEquals" | "In":
            return found in values
        case "NotEquals" | "NotIn":
            return found not in values
        case "Exists":
            return found is not None
        case "DoesNotExist":
            return found is None
        case "GreaterThan":
            return _is_whole(found) and int(str(found)) > int(values[0])
        case _:
            return _is_whole(found) and int(str(found)) < int(values[0])


def _is_valid(expression: Expression) -> bool:
    operator, values = _operator(expression), _values(expression)
    if operator in _ONE_VALUE:
        return len(values) == 1
    if operator in _SOME_VALUES:
        return len(values) > 0
    if operator in _NO_VALUE:
        return not values
    return operator in _OPERATORS and len(values) == 1 and _is_whole(values[0])


def _operator(expression: Expression) -> str:
    given = expression.get("operator") or 0
    if isinstance(given, int):
        return _OPERATORS[given] if 0 <= given < len(_OPERATORS) else ""
    return str(given)


def _values(expression: Expression) -> Sequence[str]:
    return expression.get("values") or ()


def _is_whole(value: object) -> bool:
    return isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii()


def _address(document: Document) -> tuple[str, str]:
    metadata = document.get("metadata") or {}
    return str(metadata.get("namespace")), str(metadata.get("name"))
