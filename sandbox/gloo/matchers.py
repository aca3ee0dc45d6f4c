"""Gloo's matchers as Envoy's route matches, and what a delegated route inherits of its parent's matcher."""

import re

from sandbox.gloo.world import Refusal
from sandbox.kube import Document


EVERYTHING: Document = {"prefix": "/"}


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


def delegated(parent: Document, child: Document, *, inherit: bool) -> Document:
    """Return the matcher of a route table's route below its parent's prefix.

    Raises:
        Refusal: the child's path does not start with the parent's prefix.
    """
    prefix = parent.get("prefix", "/")
    path = next((child[kind] for kind in ("prefix", "exact", "regex") if kind in child), prefix)
    if not path.startswith(prefix):
        raise Refusal(
            f"invalid route: path {path} of the route table does not start with the prefix {prefix}"
        )
    merged = child or {"prefix": prefix}
    if not inherit:
        return merged
    lists = ("headers", "queryParameters", "methods")
    joined = {name: [*(parent.get(name) or []), *(child.get(name) or [])] for name in lists}
    return {**merged, **{name: values for name, values in joined.items() if values}}


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
