"""What Gloo's CRDs allow: the real ones where they are at hand, else the parts that a rollout writes."""

import functools
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from gateway import ROUTE, WEIGHTED, closed


Json = dict[str, Any]
REAL = Path(__file__).parents[3] / "shared" / "gloo-crds"
GROUPS = {
    "VirtualService": "gateway.solo.io",
    "RouteTable": "gateway.solo.io",
    "Upstream": "gloo.solo.io",
    "UpstreamGroup": "gloo.solo.io",
}
KUBE: Json = {
    "type": "object",
    "properties": {
        "selector": {"type": "object", "additionalProperties": {"type": "string"}},
        "serviceName": {"type": "string"},
        "serviceNamespace": {"type": "string"},
        "servicePort": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "subsetSpec": {"type": "object"},
    },
}


def our_own() -> dict[str, Json]:
    """Give the schemas of specs as far as a rollout is concerned; the rest of a document may be anything."""
    routes = {"type": "array", "items": closed(ROUTE)}
    groups = {"type": "array", "items": closed(WEIGHTED)}
    host = {"type": "object", "properties": {"routes": routes, "domains": {"type": "array"}}}
    return {
        "VirtualService": {"type": "object", "properties": {"virtualHost": host}},
        "RouteTable": {"type": "object", "properties": {"routes": routes}},
        "Upstream": {"type": "object", "properties": {"kube": KUBE, "static": {"type": "object"}}},
        "UpstreamGroup": {"type": "object", "properties": {"destinations": groups}},
    }


@functools.cache
def validator(kind: str, folder: Path = REAL) -> Draft202012Validator:
    """Give the validator of a kind's spec."""
    file = folder / f"{GROUPS[kind]}_v1_{kind}.yaml"
    if not file.exists():
        return Draft202012Validator(our_own()[kind])
    definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return Draft202012Validator(closed(spec))


def violations(document: Json, folder: Path = REAL) -> Counter[str]:
    """Say what is wrong with an object, wherever in it: a list that grows moves the rest along."""
    errors = validator(document["kind"], folder).iter_errors(document.get("spec") or {})
    return Counter(error.message for error in errors)


def breaches(audit: Path, folder: Path = REAL) -> list[str]:
    """List what writes of the controller's made wrong in Gloo's objects, given the account of all writes.

    What others wrote wrong before is theirs.
    """
    found, last = [], dict[tuple[str, str, str], Json]()
    for write in _written(audit.read_text().splitlines()):
        document = write["object"]
        key = document["kind"], write["namespace"], write["name"]
        if write["userAgent"].startswith("crossfade/"):
            before = violations(last[key], folder) if key in last else Counter[str]()
            new = violations(document, folder) - before
            found += [f"{'/'.join(key)}: {words}" for words in new]
        last[key] = document
    return found


def _written(lines: Iterable[str]) -> list[Json]:
    writes = map(json.loads, lines)
    return [write for write in writes if write["object"]["kind"] in GROUPS and write["verb"] != "delete"]
