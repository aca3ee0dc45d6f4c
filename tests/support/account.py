"""Holds the controller to account: what the API server took in from it, judged by rules of its own.

Nothing of the product is used here. Records are the statuses that the controller wrote, in order; every
change of the routes has to be covered by the record before it.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from typing import Any


Document = dict[str, Any]
MEASURED = ("Shifting", "Baking")


def rises(writes: Iterable[Document]) -> list[int]:
    """Give the weights that a Canary was raised to, in order, each one earned.

    Raises:
        AssertionError: the candidate was given more, or promoted, without evidence of this very step.

    """
    raised = []
    statuses = [write["object"]["status"] for write in writes if _is_record(write)]
    for before, after in itertools.pairwise(statuses):
        if after["weight"] > before["weight"]:
            raised.append(after["weight"])
            _earned(before, after)
        elif before["phase"] in MEASURED and after["phase"] == "Finishing":
            _earned(before, after)
    return raised


def moves(writes: Iterable[Document]) -> list[str]:
    """Give the forms that the controller gave to the main route: `v1`, `v1 80, v2 20`.

    Raises:
        AssertionError: a form was not recorded before it was written, or its weights are no percentages.

    """
    forms, recorded = [], ""
    for write in writes:
        if _is_record(write):
            recorded = _intended(write["object"]["status"])
        elif _is_move(write):
            [form] = _main_routes(write["object"])
            assert form == recorded, f"the routes were written as {form}, recorded was {recorded}"
            forms.append(form)
    return forms


def _is_record(write: Document) -> bool:
    return _is_ours(write) and write["subresource"] == "status"


def _is_move(write: Document) -> bool:
    return _is_ours(write) and write["resource"].startswith("virtualservices.")


def _is_ours(write: Document) -> bool:
    ours: bool = write["userAgent"].startswith("crossfade/")
    return ours


def _earned(before: Document, after: Document) -> None:
    step = f"{before['phase']} {before['weight']} -> {after['phase']} {after['weight']}"
    assert before["candidate"] == after["candidate"], step
    weighed = _time(after, "evaluatedAt")
    assert weighed > _time(before, "evaluatedAt"), f"{step}: nothing was weighed for it"
    assert weighed > _time(before, "intendedAt"), f"{step}: weighed before the step began"
    if before["weight"]:
        assert after["verdict"] in {"Safe", "Undecided"}, f"{step}: {after['verdict']}"
        assert weighed > _time(before, "stepStartedAt"), f"{step}: weighed before Gloo had accepted it"
        for metric in after["metrics"]:
            measured = metric.get("requests", 0) + metric.get("passes", 0)
            assert measured, f"{step}: nothing was counted for {metric['name']} at this step"
    else:
        assert after["verdict"] in {"Safe", "Undecided"}, f"{step}: {after['verdict']}"


def _time(status: Document, name: str) -> dt.datetime:
    text: str = status.get(name, "1970-01-01T00:00:00Z")
    return dt.datetime.fromisoformat(text)


def _intended(status: Document) -> str:
    stable = status["stable"]["version"]
    candidate = (status.get("candidate") or status["stable"])["version"]
    match status["phase"]:
        case "Shifting" | "Baking":
            return f"{stable} {100 - status['weight']}, {candidate} {status['weight']}"
        case "Finishing":
            return str(candidate)
        case _:
            return str(stable)


def _main_routes(document: Document) -> Iterator[str]:
    for route in document["spec"]["virtualHost"]["routes"]:
        if any("headers" in matcher for matcher in route["matchers"]):
            continue
        action = route["routeAction"]
        if "single" in action:
            yield _version(action["single"])
            continue
        parts = [(_version(part["destination"]), part["weight"]) for part in action["multi"]["destinations"]]
        assert sum(weight for _, weight in parts) == 100, parts
        yield ", ".join(f"{version} {weight}" for version, weight in parts)


def _version(destination: Document) -> str:
    version: str = destination["subset"]["values"]["version"]
    return version
