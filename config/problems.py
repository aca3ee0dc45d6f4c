"""What is wrong with a Canary, in people's words, with the path of the field.

pydantic finds the errors; the wording is ours: what was found and what would
be right, never a link, a type name or the inside of a union.
"""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, Tag, ValidationError, WrapValidator
from pydantic_core import ErrorDetails

from config.names import PATTERNS_IN_WORDS


Location = tuple[str | int, ...]
"""The way from the top of a document to a field, as keys and indices."""

TAG = "#"
"""First letter of the tags of our unions: these are no fields and stay out of paths."""

MOST_TOLD = 100
"""Problems of one document; whoever has more begins with these."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LONGEST_KEY = 80
_LONGEST_VALUE = 60
_LONGEST_LIST = 200
_LONGEST_MESSAGE = 2000
_LARGEST = 2**63
_KEY = "[key]"  # how pydantic marks that the key of a mapping is wrong, not its value


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to be put right."""

    path: str
    """`spec.shifting.steps[1]`; empty for the document as a whole."""
    message: str
    """What was found and what would be right."""
    line: int | None = None
    """Counted from 1; None where there is no file."""
    column: int | None = None

    def __str__(self) -> str:
        """Show as `4:7: spec.routes: required`, as far as known."""
        place = f"{self.line}:{self.column}" if self.line is not None else ""
        return ": ".join(part for part in (place, self.path, self.message) if part)


class SpecError(ValueError):
    """A Canary that cannot be used; `errors` are all the reasons, in the order of the document."""

    def __init__(self, errors: Sequence[Problem]) -> None:
        self.errors = tuple(errors)
        words = "; ".join(map(str, self.errors))
        super().__init__(words if len(words) <= _LONGEST_MESSAGE else f"{words[:_LONGEST_MESSAGE]}...")


class FaultsError(ValueError):
    """Raised by a validator that found several faults inside of its own place."""

    def __init__(self, faults: Sequence["Fault"]) -> None:
        super().__init__("; ".join(f"{path_of(fault.at)}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class FieldError(ValueError):
    """Raised by a validator that knows better than its own place which field is wrong."""

    def __init__(self, message: str, *at: str | int) -> None:
        super().__init__(message)
        self.at: Location = at


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem before its place has been put into words."""

    at: Location
    message: str
    missing: bool = False


def faults(error: ValidationError, model: type[BaseModel], document: object) -> Iterator[Fault]:
    """Give what pydantic found, without errors that only follow from others.

    `document` is what was validated, `model` what it was validated as.
    """
    details = error.errors(include_url=False)[:MOST_TOLD]
    places = [_place(detail, document) for detail in details]
    for detail, place in zip(details, places, strict=True):
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FaultsError):
            yield from (Fault((*place, *each.at), each.message) for each in cause.faults)
            continue
        follows = any(len(other) > len(place) and other[: len(place)] == place for other in places)
        if follows and detail["type"] == "too_short":
            continue
        message = visible(_message(detail, place, model, document))
        yield Fault(place, message, detail["type"] == "missing")


def path_of(at: Location) -> str:
    """Write a location as people do: `spec.routes[0].name`."""
    parts = [shown(str(part), _LONGEST_KEY) for part in at]
    text = "".join(f".{part}" if _PLAIN.fullmatch(part) else f"[{part}]" for part in parts)
    return text.removeprefix(".")


def shown(text: str, longest: int) -> str:
    r"""Write a text so that it is what it looks like: on one line, in ASCII (`\u202e`), cut at a length."""
    plain = "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text[: longest + 1])
    return plain if len(plain) <= longest else f"{plain[: longest - 3]}..."


def visible(text: str) -> str:
    r"""Write out what cannot be seen, or turns around what can (`\u202e`); letters stay as they are."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def value_at(document: object, at: Location) -> object:
    """Give what stands at a location; None where the document does not reach."""
    for part in at:
        match document, part:
            case Mapping(), str() if part in document:
                document = document[part]
            case list() | tuple(), int() if 0 <= part < len(document):
                document = document[part]
            case _:
                return None
    return document


def found(value: object) -> str:
    """Say what stands in the document, briefly, as YAML would have it."""
    match value:
        case None:
            return "found nothing"
        case bool():
            return f"found {str(value).lower()}"
        case Mapping():
            return "found a mapping" if value else "found an empty mapping"
        case list() | tuple():
            return f"found a list of {len(value)}" if value else "found an empty list"
        case int() if not -_LARGEST <= value < _LARGEST:
            return "found a huge number"
        case str():
            return f"found {shown(ascii(value[: _LONGEST_VALUE + 1]), _LONGEST_VALUE)}"
        case _:
            return f"found {shown(repr(value), _LONGEST_VALUE)}"


def near(name: str, names: Sequence[str]) -> str:
    """Give `; did you mean NAME?` if one of the names is close."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def unknown_field(name: str, allowed: Sequence[str]) -> str:
    """Say that a field does not exist, and which do."""
    return f"unknown field{near(name, allowed)}; allowed: {', '.join(sorted(allowed))}"


_RIGHT = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "a mapping is needed",
    "finite_number": "a finite number is needed",
    "float_type": "a number is needed",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_parsing": "a whole number is needed",
    "int_type": "a whole number is needed",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "model_type": "a mapping of fields is needed",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "text is needed; put quotes around it",
    "string_unicode": "text is needed; half of a surrogate pair is none",
    "too_long": "must have at most {max_length}",
    "too_short": "must have at least {min_length}",
    "tuple_type": "a list is needed",
}


def _place(detail: ErrorDetails, document: object) -> Location:
    at = tuple(part for part in detail["loc"] if not str(part).startswith(TAG) and part != _KEY)
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, FieldError):
        at += cause.at
    while detail["type"] != "missing" and at and not _reaches(document, at):
        at = at[:-1]
    return at


def _message(detail: ErrorDetails, place: Location, model: type[BaseModel], document: object) -> str:
    context = detail.get("ctx", {})
    value = detail["input"] if _KEY in detail["loc"] else value_at(document, place)
    match detail["type"]:
        case "missing":
            return "required"
        case "extra_forbidden":
            return unknown_field(str(detail["loc"][-1]), _fields(model, detail["loc"][:-1]))
        case "value_error":
            return str(context["error"])
        case "metric_kind" if isinstance(value, Mapping):
            names = shown(", ".join(map(str, value)), _LONGEST_LIST)
            return f"found {names or 'nothing'}; {detail['msg']}"
        case "string_pattern_mismatch":
            right = PATTERNS_IN_WORDS.get(context["pattern"], f"must match {context['pattern']}")
        case "literal_error":
            right = f"must be {context['expected'].replace(chr(39), '').replace('True', 'true')}"
            if isinstance(value, str):
                right += near(value, re.findall("'([^']+)'", context["expected"]))
        case kind if kind in _RIGHT:
            right = _RIGHT[kind].format(**context)
        case _:
            right = detail["msg"]
    return f"{found(value)}; {right}"


def _reaches(document: object, at: Location) -> bool:
    parent, last = value_at(document, at[:-1]), at[-1]
    if isinstance(parent, Mapping):
        return last in parent
    return isinstance(parent, list | tuple) and isinstance(last, int) and 0 <= last < len(parent)


def _fields(annotation: Any, at: Location) -> list[str]:  # noqa: ANN401  # a type in any of its spellings
    """Follow pydantic's location through the types to the model that refused a field."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        written = [note.json_schema_input_type for note in notes if isinstance(note, WrapValidator)]
        if written:
            return _fields(written[0], at)
        tags = [note.tag for note in notes if isinstance(note, Tag)]
        if tags:
            return _fields(inner, at[1:]) if at[:1] == tuple(tags) else []
        return _fields(inner, at)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        named = {field.alias or name: field for name, field in annotation.model_fields.items()}
        if not at:
            return list(named)
        return _fields(named[str(at[0])].annotation, at[1:])
    if get_origin(annotation) is tuple:
        return _fields(get_args(annotation)[0], at[1:])
    branches = (_fields(branch, at) for branch in get_args(annotation))
    return next((names for names in branches if names), [])
