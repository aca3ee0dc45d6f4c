"""YAML as people write it, read within bounds and with the places of its fields kept.

Text comes from anybody: size, depth and aliases are bounded, tags are refused.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from config.problems import Fault, Location, Problem, SpecError, path_of


MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000


def documents(text: str) -> Iterator[object]:
    """Give the documents of a YAML text, marked with their places; YAML 1.1, as kubectl reads it.

    Raises:
        SpecError: this is not YAML, or more than anybody would write.

    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise SpecError([Problem("", "larger than 1 MiB")])
    try:
        _check_depth(text)
        yield from _as_kubectl_reads().load_all(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = _first_line(error.problem or error.context or "cannot be read")
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise SpecError([Problem("", f"not valid YAML: {message}", *place)]) from None
    except SpecError:
        raise
    except (YAMLError, ValueError) as error:
        raise SpecError([Problem("", f"not valid YAML: {_first_line(str(error))}")]) from None


def _check_depth(text: str) -> None:
    """Look at the events alone: building the document would recurse."""
    depth = 0
    for event in _as_kubectl_reads().parse(text):
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            raise SpecError([Problem("", "nested too deeply", line, column)])


def _as_kubectl_reads() -> YAML:
    yaml = YAML(typ="rt")
    yaml.version = (1, 1)  # there `yes` and `on` are true
    yaml.allow_duplicate_keys = False
    return yaml


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "cannot be read"


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
            NotPlainError: tags, keys that are no text, or too many values.

        """
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise NotPlainError(at[:1], f"more than {MAX_NODES} values, aliases written out")
        match value:
            case CommentedMap():
                return {self._key(key, at): self.of(item, (*at, key)) for key, item in value.items()}
            case CommentedSeq():
                return [self.of(item, (*at, index)) for index, item in enumerate(value)]
            case None | bool():
                return value
            case int():
                return int(value)
            case float():
                return float(value)
            case str():
                return str(value)
            case dt.date():
                return value.isoformat()
            case _:
                tag = getattr(value, "tag", None)
                what = f"the tag {tag.value}" if tag else type(value).__name__
                raise NotPlainError(at, f"found {what}; plain values only")

    def _key(self, key: object, at: Location) -> str:
        if isinstance(key, str):
            return str(key)
        raise NotPlainError(at, f"found the key {key!r}; keys are text")
