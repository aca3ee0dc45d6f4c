"""Faults at the sandbox's API server, for a while."""

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import requests


OURS = "crossfade/"
"""How the controller's user agent begins."""

Fault = dict[str, Any]


@contextlib.contextmanager
def faults(apiserver: str, *wanted: Fault) -> Iterator[Callable[[], list[Fault]]]:
    """Let these happen at the API server of this URL; gives a function that lists what is left of them."""
    url = f"{apiserver}/sandbox/faults"
    requests.post(url, data=json.dumps(wanted), timeout=5).raise_for_status()
    try:
        yield lambda: requests.get(url, timeout=5).json()["faults"]
    finally:
        requests.delete(url, timeout=5).raise_for_status()


def forbidden(verb: str, resource: str, name: str = "") -> Fault:
    """Refuse the controller what RBAC would, in its words, until the fault is taken away."""
    plural, _, group = resource.partition(".")
    group, _, subresource = group.partition("/")
    what = f"{plural}/{subresource}" if subresource else plural
    words = f'User "crossfade" cannot {verb} resource "{what}" in API group "{group}"'
    return {
        "fault": "answer",
        "code": 403,
        "message": f'{plural}.{group} "{name}" is forbidden: {words}',
        "verb": verb,
        "resource": resource,
        "name": name,
        "userAgent": OURS,
        "times": None,
    }
