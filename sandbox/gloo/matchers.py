"""Gloo's matchers as Envoy's route matches, and what a delegated route inherits of its parent's matcher."""

import re
from dataclasses import dataclass
from typing import Any

from sandbox.gloo.world import Refusal
from sandbox.kube import Document


EVERYTHING: Document = {"prefix": "/"}
_PATHS = ("prefix", "exact", "regex")
_LISTS = ("headers", "queryParameters", "methods")


def route_match(matcher: Document) -> Document:
    """Return Envoy's `RouteMatch`.

    Raises:
        Refusal: no path, or a regular expression that is none.
    """
    match = _path(matcher)
    if matcher.get("caseSensitive") is not None:
        match["case_sensitive"] = matcher["caseSensitive"]
    headers = [_header(header) for header in matcher.get("headers") or []]
    if methods := matcher.get("methods"):
        headers.append({"name": ":method", "string_match": _regex("|".join(map(re.escape, methods)))})
    if headers:
        match["headers"] = headers
    if parameters := matcher.get("queryParameters"):
        match["query_parameters"] = [_value_match(parameter) for parameter in parameters]
    return match


class Misplaced(Exception):  # noqa: N818  # a warning, as in Gloo
    """A route table's route does not fit below its parent: it is left out, and the message is the reason."""


@dataclass(frozen=True, slots=True)
class Parent:
    """What a delegating route hands down."""

    matcher: Document
    inherit: bool = False
    """Headers, query parameters and methods come in addition to the child's own."""
    inherit_path: bool = False
    """Its path takes the place of the child's own."""


def delegated(parent: Parent, child: Document) -> Document:
    """Return the matcher of a route table's route below its parent; without a path it is for `/`, as in Gloo.

    Raises:
        Misplaced: the child's path does not start with the parent's prefix, or lacks its conditions.
    """
    merged = child
    if parent.inherit_path:
        own = {name: value for name, value in child.items() if name not in _PATHS}
        merged = {"prefix": parent.matcher.get("prefix", "/"), **own}
    merged = merged or EVERYTHING
    if parent.inherit:
        joined = {name: [*_conditions(parent.matcher, name), *_conditions(merged, name)] for name in _LISTS}
        merged = {**merged, **{name: values for name, values in joined.items() if values}}
    _check(parent.matcher, merged)
    return merged


def _check(parent: Document, child: Document) -> None:
    prefix = parent.get("prefix", "/")
    path = next((child[kind] for kind in _PATHS if kind in child), "")
    if not path.startswith(prefix):
        raise Misplaced(f"invalid route: path {path} of the route table does not start with prefix {prefix}")
    for name in ("headers", "queryParameters"):
        own = {each["name"]: each for each in _conditions(child, name)}
        if any(own.get(each["name"]) != each for each in _conditions(parent, name)):
            raise Misplaced(f"invalid route: route table matchers must have all {name} of their parent's")
    if not set(_conditions(parent, "methods")) <= set(_conditions(child, "methods")):
        raise Misplaced("invalid route: route table matchers must have all methods of their parent's")


def _conditions(matcher: Document, name: str) -> list[Any]:
    return matcher.get(name) or []


def specificity(matcher: Document) -> tuple[int, int]:
    """Return a sort key, most specific path first: exact, regex, prefix, and longer before shorter."""
    for rank, kind in enumerate(("exact", "regex", "prefix")):
        if kind in matcher:
            return rank, -len(matcher[kind])
    return 3, 0


def _path(matcher: Document) -> Document:
    if "exact" in matcher:
        return {"path": matcher["exact"]}
    if "regex" in matcher:
        return _regex(matcher["regex"])
    if "prefix" in matcher:
        return {"prefix": matcher["prefix"]}
    raise Refusal("invalid matcher: must have one of prefix, exact, regex")


def _header(header: Document) -> Document:
    inverted = {"invert_match": True} if header.get("invertMatch") else {}
    return {**_value_match(header), **inverted}


def _value_match(wanted: Document) -> Document:
    value = wanted.get("value", "")
    if not value:
        return {"name": wanted["name"], "present_match": True}
    how = _regex(value) if wanted.get("regex") else {"exact": value}
    return {"name": wanted["name"], "string_match": how}


def _regex(pattern: str) -> Document:
    try:
        re.compile(pattern)
    except re.error as error:
        raise Refusal(f"invalid regex {pattern!r}: {error}") from None
    return {"safe_regex": {"regex": pattern}}
