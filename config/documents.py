"""YAML as people write it, read within bounds and with the places of its fields kept.

Text comes from anybody: its size, depth, values and aliases are bounded, and tags are refused.
The bounds are found by libyaml, which is fast and does not recurse; only what keeps within
them is built, with the places of its fields, by ruamel.
"""

import datetime as dt
import warnings
from collections.abc import Callable
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import (
    MantissaNoDotYAML1_1Warning,
    ReusedAnchorWarning,
    YAMLError,
)

from config.problems import Fault, Location, Problem, SpecError, found, path_of, shown


MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000
"""Of one document, aliases written out."""
MAX_WRITTEN = 25_000
"""Values of a text that is built; a Canary has some fifty."""
MAX_LINES = 50_000
"""Of a text that is built."""

_LONGEST_NUMBER = 64
_LONGEST_WORDS = 200
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STUMBLES = (  # on numbers, dates and merges that are none; ruamel does not put them into words of its own
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)

for _warning in (MantissaNoDotYAML1_1Warning, ReusedAnchorWarning):  # YAML 1.1 has both, and so has kubectl
    warnings.simplefilter("ignore", _warning)


def documents(text: str, meant: Callable[[str], bool] | None = None) -> tuple[object, ...]:
    """Give the documents of a YAML text, marked with their places; YAML 1.1, as kubectl reads it.

    Args:
        text: Any number of documents.
        meant: If no scalar of the text passes, nothing in it is meant, and nothing is built or given.

    Raises:
        SpecError: this is not YAML, or more than anybody would write.

    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise SpecError([Problem("", "larger than 1 MiB")])
    if not _within_bounds(text, meant):
        return ()
    try:
        return tuple(_as_kubectl_reads().load_all(text))
    except (YAMLError, RecursionError) as error:
        raise _not_yaml(error) from None


def _within_bounds(text: str, meant: Callable[[str], bool] | None) -> bool:
    """Look at the events alone, since building would recurse; tell whether anything is meant.

    Raises:
        SpecError: it is not YAML, nested too deeply, or has too many values to be built.

    """
    depth = written = 0
    found, beyond = meant is None, None
    anchors: set[str] = set()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            written += isinstance(event, yaml.NodeEvent)
            if depth > MAX_DEPTH:
                raise SpecError([_at(event.start_mark, "nested too deeply")])
            if written > MAX_WRITTEN and beyond is None:
                beyond = event.start_mark
            anchors = set() if isinstance(event, yaml.DocumentStartEvent) else anchors
            anchor = getattr(event, "anchor", None)
            if isinstance(event, yaml.AliasEvent) and anchor not in anchors:
                name = shown(repr(anchor), _LONGEST_WORDS)
                raise SpecError([_at(event.start_mark, f"not valid YAML: found undefined alias {name}")])
            anchors.add(str(anchor))
            found = found or (isinstance(event, yaml.ScalarEvent) and bool(meant and meant(event.value)))
    except (yaml.YAMLError, UnicodeError) as error:
        if beyond is None:
            _check_with_ruamel(text)
        raise _not_yaml(error) from None
    if found and beyond is not None:
        raise SpecError([_at(beyond, f"more than {MAX_WRITTEN} values in one file")])
    if found and text.count("\n") > MAX_LINES:
        raise SpecError([Problem("", f"more than {MAX_LINES} lines")])
    return found


def _check_with_ruamel(text: str) -> None:
    """Say in ruamel's words, which are plainer, what libyaml does not accept."""
    try:
        for _ in _as_kubectl_reads().parse(text):
            pass
    except YAMLError as error:
        raise _not_yaml(error) from None


def _not_yaml(error: Exception) -> SpecError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
    line = shown(words.strip().partition("\n")[0], _LONGEST_WORDS) or "cannot be read"
    return SpecError([_at(mark, f"not valid YAML: {line}")])


def _at(mark: Any, message: str) -> Problem:  # noqa: ANN401  # either library's own
    return Problem("", message, mark.line + 1, mark.column + 1) if mark else Problem("", message)


class _Constructor(RoundTripConstructor):
    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  # its own
        try:
            return super().construct_object(node, deep=deep)
        except _STUMBLES as error:
            words = str(error).partition(";")[0] if isinstance(error, ValueError) else "it makes no sense"
            raise ConstructorError(None, None, f"cannot be read: {words}", node.start_mark) from error


def _as_kubectl_reads() -> YAML:
    reader = YAML(typ="rt")
    reader.Constructor = _Constructor
    reader.version = (1, 1)  # there `yes` and `on` are true
    reader.allow_duplicate_keys = False
    return reader


def placed(fault: Fault, marked: object) -> Problem:
    """Add line and column: where the field begins, or the innermost thing around it that exists."""
    place: tuple[int, int] | None = None
    for part in fault.at:
        match marked, part:
            case CommentedMap(), _ if part in marked:
                place = _mark(marked, part) or place
                marked = marked[part]
            case CommentedSeq(), int() if part < len(marked):
                place = _mark(marked, part) or place
                marked = marked[part]
            case _:
                break
    if place is None and isinstance(marked, CommentedMap | CommentedSeq):
        place = (marked.lc.line + 1, marked.lc.col + 1)
    return Problem(path_of(fault.at), fault.message, *(place or (None, None)))


def _mark(container: CommentedMap | CommentedSeq, part: str | int) -> tuple[int, int] | None:
    mark = (container.lc.data or {}).get(part)
    return (mark[0] + 1, mark[1] + 1) if mark else None


class NotPlainError(Exception):
    """What JSON could not hold; `fault` says where."""

    def __init__(self, at: Location, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(at, message)


class Plain:
    """Turns one marked document into what JSON could hold; counts, so that aliases cannot explode."""

    def __init__(self) -> None:
        self._nodes = 0

    def of(self, value: object, at: Location) -> Any:  # noqa: ANN401  # JSON
        """Give a document, or the part of one that stands at a location.

        Raises:
            NotPlainError: tags, keys that are no text, huge numbers, too many values, or too deep ones.

        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise NotPlainError(at[:1], f"more than {MAX_NODES} values, aliases written out")
        if len(at) > MAX_DEPTH:
            raise NotPlainError(at[:1], "nested too deeply, aliases written out")
        match value:
            case CommentedMap():
                return {self._key(key, at): self.of(item, (*at, key)) for key, item in value.items()}
            case CommentedSeq():
                return [self.of(item, (*at, index)) for index, item in enumerate(value)]
            case None | bool():
                return value
            case int():
                if value.bit_length() > _LONGEST_NUMBER:
                    raise NotPlainError(at, f"found a number of more than {_LONGEST_NUMBER} bits")
                return int(value)
            case float():
                return float(value)
            case str():
                return str(value)
            case dt.date():
                return value.isoformat()
            case _:
                tag = getattr(getattr(value, "tag", None), "value", None)
                what = f"the tag {tag}" if tag else type(value).__name__
                raise NotPlainError(at, f"found {shown(what, _LONGEST_WORDS)}; plain values only")

    def _key(self, key: object, at: Location) -> str:
        if isinstance(key, str):
            return str(key)
        raise NotPlainError(at, f"{found(key).replace('found', 'found the key', 1)}; keys are text")
