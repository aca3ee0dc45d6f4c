"""Answers as tables, which is how kubectl asks for everything that it prints in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.apiserver.columns import AGE, NAME


if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sandbox.apiserver.documents import Object
    from sandbox.apiserver.resources import Resource


def table(resource: Resource, objects: Sequence[Object], now: datetime, *, include: str = "") -> Object:
    """Return a Table; ``include`` says how much of each object goes with its row: None, Metadata, Object."""
    columns = resource.columns or (NAME, AGE)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": [
            {
                "name": each.name,
                "type": each.type,
                "format": each.format,
                "description": each.description,
                "priority": each.priority,
            }
            for each in columns
        ],
        "rows": [
            {"cells": [each.cell(found, now) for each in columns], **_included(found, include)}
            for found in objects
        ],
    }


def _included(found: Object, include: str) -> Object:
    if include == "None":
        return {}
    return {"object": found if include == "Object" else partial(found)}


def partial(found: Object) -> Object:
    """Return the object's metadata alone."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": found.get("metadata", {}),
    }
