"""What the translation reads and what it may say: the objects of one moment, and its words for a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sandbox.kube import Document, Key


Objects = Mapping[Key, Document]


@dataclass(frozen=True, slots=True)
class World:
    """All objects that matter to Gloo, by namespace and name."""

    virtual_services: Objects = field(default_factory=dict)
    route_tables: Objects = field(default_factory=dict)
    upstreams: Objects = field(default_factory=dict)
    upstream_groups: Objects = field(default_factory=dict)
    services: Objects = field(default_factory=dict)
    slices: Objects = field(default_factory=dict)
    pods: Objects = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an object's status says: `state` in Gloo's words, and why."""

    state: str = "Accepted"
    reason: str = ""


class Refusal(Exception):  # noqa: N818  # a verdict about a document, not a fault
    """This object cannot be served as it stands; the message is the status's reason."""


def not_found(kind: str, key: Key) -> Refusal:
    """Return the refusal of a dangling reference, worded as Gloo does."""
    return Refusal(f"*v1.{kind} {{ {'.'.join(key)} }} not found")


def ref_key(ref: Document) -> Key:
    """Return where a Gloo reference points; it has no default namespace."""
    return ref.get("namespace", ""), ref.get("name", "")


def cluster_name(key: Key) -> str:
    """Return the name of an Upstream's Envoy cluster."""
    namespace, name = key
    return f"{name}_{namespace}"


def spec_of(document: Document) -> Document:
    """Return an object's spec, empty if it has none."""
    return document.get("spec") or {}
