"""YAML or a custom resource in, a validated Canary out, or all that is wrong with it and where."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeGuard, TypeVar

from pydantic import ValidationError

from config.canary import GROUP, KIND, Canary, CanarySpec
from config.documents import NotPlainError, Plain, documents, placed
from config.expressions import OPEN_NAMES
from config.model import Model
from config.presets import Presets
from config.problems import Fault, Location, Problem, SpecError, faults
from config.templates import TEMPLATE_KIND, MetricTemplate
from config.written import OWN_PRESETS, TEMPLATES


M = TypeVar("M", bound=Model)


Templates = Mapping[tuple[str, str], Mapping[str, Any]]
"""The specs of MetricTemplates by (namespace, name), not yet validated."""


def load_spec(
    spec: object,
    templates: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    presets: Presets | None = None,
) -> CanarySpec:
    """Validate the `spec` of a Canary as the API server hands it out.

    Presets, templates and variables are written out in what comes back: dumped
    and loaded again, it needs neither templates nor presets.

    Args:
        spec: As stored.
        templates: The specs of the MetricTemplates of the same namespace by name.
        presets: Those of the platform, besides the built-in ones; None: they are not known here.

    Raises:
        SpecError: with paths that begin at `spec`.

    """
    return _validated(CanarySpec, spec, ("spec",), None, {TEMPLATES: templates, OWN_PRESETS: presets})


def load_canaries(
    text: str, templates: Templates = MappingProxyType({}), presets: Presets | None = None
) -> tuple[Canary, ...]:
    """Read the Canaries of a YAML text of any number of documents; other objects are passed over.

    Args:
        text: The documents; MetricTemplates among them are known to the Canaries.
        templates: MetricTemplates from elsewhere, as `templates_in` gives them.
        presets: Those of the platform, besides the built-in ones; None: they are not known here.

    Raises:
        SpecError: everything wrong in any of them, with line and column.

    """
    known = {**templates, **templates_in(text)}
    canaries: list[Canary] = []
    problems: list[Problem] = []
    for document in documents(text, _hints_at_ours):
        if not _is_ours(document):
            continue
        try:
            loaded = _loaded(document, known, presets)
        except SpecError as error:
            problems += error.errors
        except NotPlainError as error:
            problems.append(placed(error.fault, document))
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
    for document in documents(text, _hints_at_ours):
        if not _is_ours(document) or document.get("kind") != TEMPLATE_KIND:
            continue
        try:
            plain = Plain().of(document, ())
        except NotPlainError:
            continue
        metadata, spec = plain.get("metadata"), plain.get("spec")
        if isinstance(metadata, dict) and isinstance(spec, dict):
            found[str(metadata.get("namespace", "default")), str(metadata.get("name"))] = spec
    return found


def _loaded(
    document: Mapping[str, Any], known: Templates, presets: Presets | None
) -> Canary | MetricTemplate:
    plain = Plain().of(document, ())
    if plain.get("kind") == TEMPLATE_KIND:
        return _validated(MetricTemplate, plain, (), document, {OPEN_NAMES: True})
    metadata = plain.get("metadata")
    namespace = metadata.get("namespace", "default") if isinstance(metadata, dict) else ""
    beside = {name: spec for (where, name), spec in known.items() if where == namespace}
    return _validated(Canary, plain, (), document, {TEMPLATES: beside, OWN_PRESETS: presets})


def _validated(
    model: type[M], value: object, prefix: Location, marked: object, context: Mapping[str, object]
) -> M:
    try:
        return model.model_validate(value, context=context)
    except ValidationError as error:
        found = faults(error, model, value)
        problems = [placed(Fault((*prefix, *fault.at), fault.message), marked) for fault in found]
        raise SpecError(sorted(problems, key=lambda it: (it.line or 0, it.column or 0))) from None


def _hints_at_ours(scalar: str) -> bool:
    """Tell whether a document with this scalar may be ours: without such a one, none is."""
    return scalar == KIND or scalar.startswith(f"{GROUP}/")


def _is_ours(document: object) -> TypeGuard[Mapping[str, Any]]:
    if not isinstance(document, Mapping):
        return False
    version = document.get("apiVersion")
    return str(version).startswith(f"{GROUP}/") or (version is None and document.get("kind") == KIND)
