"""YAML or a custom resource in, a validated Canary out, or all that is wrong with it and where.

Text comes from anybody: size, depth and aliases are bounded, tags are refused.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeGuard, TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from config.canary import GROUP, KIND, Canary, CanarySpec
from config.expressions import OPEN_NAMES
from config.model import Model
from config.problems import Fault, Location, Problem, SpecError, faults, path_of
from config.templates import TEMPLATE_KIND, MetricTemplate
from config.written import TEMPLATES


MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 100_000

M = TypeVar("M", bound=Model)


Templates = Mapping[tuple[str, str], Mapping[str, Any]]
"""The specs of MetricTemplates by (namespace, name), not yet validated."""


def load_spec(spec: object, templates: Mapping[str, Mapping[str, Any]] = MappingProxyType({})) -> CanarySpec:
    """Validate the `spec` of a Canary as the API server hands it out.

    Presets, templates and variables are written out in what comes back: dumped
    and loaded again, it needs no templates.

    Args:
        spec: As stored.
        templates: The specs of the MetricTemplates of the same namespace by name.

    Raises:
        SpecError: with paths that begin at `spec`.

    """
    return _validated(CanarySpec, spec, ("spec",), None, {TEMPLATES: templates})


def load_canaries(text: str, templates: Templates = MappingProxyType({})) -> tuple[Canary, ...]:
    """Read the Canaries of a YAML text of any number of documents; other objects are passed over.

    Args:
        text: The documents; MetricTemplates among them are known to the Canaries.
        templates: MetricTemplates from elsewhere, as `templates_in` gives them.

    Raises:
        SpecError: everything wrong in any of them, with line and column.

    """
    known = {**templates, **templates_in(text)}
    canaries: list[Canary] = []
    problems: list[Problem] = []
    for document in _documents(text):
        if not _is_ours(document):
            continue
        try:
            loaded = _loaded(document, known)
        except SpecError as error:
            problems += error.errors
        except _NotPlainError as error:
            problems.append(_placed(error.fault, document))
        else:
            canaries += [loaded] if isinstance(loaded, Canary) else []
    if problems:
        raise SpecError(problems)
    return tuple(canaries)


def templates_in(text: str) -> Templates:
    """Find the MetricTemplates of a YAML text, sound or broken; they are validated where they are used.

    Raises:
        SpecError: this is not YAML.

    """
    found: dict[tuple[str, str], Mapping[str, Any]] = {}
    for document in _documents(text):
        if not _is_ours(document) or document.get("kind") != TEMPLATE_KIND:
            continue
        try:
            plain = _Plain().of(document, ())
        except _NotPlainError:
            continue
        metadata, spec = plain.get("metadata"), plain.get("spec")
        if isinstance(metadata, dict) and isinstance(spec, dict):
            found[str(metadata.get("namespace", "default")), str(metadata.get("name"))] = spec
    return found


def _loaded(document: Mapping[str, Any], known: Templates) -> Canary | MetricTemplate:
    plain = _Plain().of(document, ())
    if plain.get("kind") == TEMPLATE_KIND:
        return _validated(MetricTemplate, plain, (), document, {OPEN_NAMES: True})
    metadata = plain.get("metadata")
    namespace = metadata.get("namespace", "default") if isinstance(metadata, dict) else ""
    beside = {name: spec for (where, name), spec in known.items() if where == namespace}
    return _validated(Canary, plain, (), document, {TEMPLATES: beside})


def _validated(
    model: type[M], value: object, prefix: Location, marked: object, context: Mapping[str, object]
) -> M:
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        found = faults(error, model, value)
        problems = [_placed(Fault((*prefix, *fault.at), fault.message), marked) for fault in found]
        raise SpecError(sorted(problems, key=lambda it: (it.line or 0, it.column or 0))) from None


def _is_ours(document: object) -> TypeGuard[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        return False
    version = document.get("apiVersion")
    return str(version).startswith(f"{GROUP}/") or (version is None and document.get("kind") == KIND)


def _documents(text: str) -> Iterator[object]:
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


def _placed(fault: Fault, marked: object) -> Problem:
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


class _NotPlainError(Exception):
    def __init__(self, at: Location, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(at, message)


class _Plain:
    """Turns marked YAML into what JSON could hold; counts, so that aliases cannot explode."""

    def __init__(self) -> None:
        self._nodes = 0

    def of(self, value: object, at: Location) -> Any:  # noqa: ANN401  # JSON
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _NotPlainError(at[:1], f"more than {MAX_NODES} values, aliases written out")
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
                raise _NotPlainError(at, f"found {what}; plain values only")

    def _key(self, key: object, at: Location) -> str:
        if isinstance(key, str):
            return str(key)
        raise _NotPlainError(at, f"found the key {key!r}; keys are text")
