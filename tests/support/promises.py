"""What holds after every request of ours, told from the documents alone."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from config.status import Phase, Status, load_status
from controller.ports import ANNOTATION, FINALIZER
from memory import ACCEPTED, CANARY, KEY, Address, Documents, Server
from weather import at_rest


Json = Mapping[str, Any]
Shares = dict[str, dict[str, float]]
"""Which route -> version (empty: all versions; `shop/cart` of others) -> percent."""

_CANDIDATES: dict[Phase, Callable[[Status], float]] = {
    Phase.SHIFTING: lambda status: float(status.weight),
    Phase.BAKING: lambda _status: 100.0,
    Phase.FINISHING: lambda _status: 100.0,
}
"""What the candidate may get at most of any route, in percent."""


def watch(server: Server, before: Documents, operation: str) -> None:
    """Hold a change of ours against what was recorded and what is there."""
    after = server.documents
    if all(before.get(address) is each for address, each in after.items()) and len(before) == len(after):
        return
    _check_upstreams(server, before)
    _check_routes(server, before)
    _check_endpoints(server, before)
    _check_finalizer(server)
    if CANARY in after and CANARY in before:
        _check_record(server, load_status(before[CANARY].get("status")))
        _check_command(before[CANARY], after[CANARY])
    if operation in {"patch deployments", "delete deployments"}:
        _check_retirement(server, before)
    for address in before.keys() & after.keys():
        if before[address] is after[address]:
            continue
        assert foreign(before[address]) == foreign(after[address]), f"{address}: somebody else's was changed"


_KNOWN: dict[tuple[int, ...], tuple[tuple[Json, ...], Shares]] = {}
"""What was found out already; documents are never changed in place."""


def shares(documents: Documents) -> Shares:
    """Say where the requests of each route go; testing routes are told by the headers that they match."""
    asked = tuple(each for address, each in documents.items() if address != CANARY)
    name = tuple(map(id, asked))
    if name not in _KNOWN:
        if len(_KNOWN) > 500:
            _KNOWN.clear()
        _KNOWN[name] = asked, _shares(documents)
    return _KNOWN[name][1]


def _shares(documents: Documents) -> Shares:
    found: Shares = {}
    for (plural, namespace, name), document in documents.items():
        for label, entries in _destinations(plural, document):
            total = sum(entry.get("weight", 0) for entry in entries)
            assert total > 0, f"{name} {label}: a total weight of zero"
            parts: dict[str, float] = {}
            for entry in entries:
                version = _version(documents, entry["destination"], namespace)
                parts[version] = parts.get(version, 0) + 100 * entry.get("weight", 0) / total
            found[f"{plural}/{name} {label}"] = {version: part for version, part in parts.items() if part}
    return found


def copied(documents: Documents) -> set[str]:
    """Name the Upstreams that get copies of requests."""
    routes = (route for (plural, _, _), each in documents.items() for route in _routes(plural, each))
    options = (route.get("options", {}).get("shadowing") for route in routes)
    return {each["upstream"]["name"] for each in options if each}


def foreign(document: Json) -> Json:
    """Take away what a rollout may change, and what the server counts."""
    metadata = {
        name: value
        for name, value in document["metadata"].items()
        if name not in {"resourceVersion", "generation", "annotations", "finalizers"}
    }
    left: dict[str, Any] = {**document, "metadata": metadata, "status": None}
    if document.get("kind") in {"VirtualService", "RouteTable"}:
        left["spec"] = [_without_ours(route) for route in _routes_of(document) if not is_testing(route)]
    elif document.get("kind") == "UpstreamGroup":
        left["spec"] = {**document["spec"], "destinations": _others(document["spec"]["destinations"])}
    elif "replicas" in document.get("spec", {}):
        left["spec"] = {**document["spec"], "replicas": None}
    return left


def is_testing(route: Json) -> bool:
    """Tell whether only testers match."""
    return any("headers" in matcher for matcher in route.get("matchers", ()))


def _without_ours(route: Json) -> Json:
    action = route.get("routeAction")
    options = {name: value for name, value in route.get("options", {}).items() if name != "shadowing"}
    left = {name: value for name, value in route.items() if name not in {"routeAction", "options"}}
    entries = _entries(action) if action else ()
    return {**left, "options": options, "others": _others(entries)}


def _others(entries: Any) -> list[Json]:  # JSON
    return [entry["destination"] for entry in entries if not _is_ours(entry["destination"])]


def _is_ours(destination: Json) -> bool:
    return str(destination["upstream"]["name"]).startswith("echo")


def _check_routes(server: Server, before: Documents) -> None:
    """Let no share of the candidate rise above what is recorded."""
    status = server.status
    candidate = status.candidate.version if status.candidate else ""
    allowed = _CANDIDATES[status.phase](status) if status.phase in _CANDIDATES else 0.0
    earlier = shares(before)
    for label, parts in shares(server.documents).items():
        if candidate and "headers" not in label and parts.get(candidate, 0) > allowed:
            there = earlier.get(label, {}).get(candidate, 0)
            assert parts[candidate] <= there, f"{label}: {parts[candidate]}%, {allowed}% is recorded"
        if "headers" in label and label not in earlier:
            assert status.phase in {Phase.TESTING, Phase.SHIFTING, Phase.BAKING}, f"{label} in {status.phase}"
    if copied(server.documents) - copied(before):
        assert status.phase is Phase.SHADOWING


def _check_endpoints(server: Server, before: Documents) -> None:
    """Send nobody where there are no pods, unless people did that already."""
    for nobody in _unanswered(server.documents) - _unanswered(before):
        raise AssertionError(f"nobody answers for {nobody}")


def _unanswered(documents: Documents) -> set[tuple[str, str]]:
    """Name routes and the versions there that no Deployment wants pods of."""
    pods = {
        document["spec"]["template"]["metadata"]["labels"]["version"]: document["spec"]["replicas"]
        for (plural, _, _), document in documents.items()
        if plural == "deployments"
    }
    return {
        (label, version)
        for label, parts in shares(documents).items()
        for version in parts
        if pods and "/" not in version and not (pods.get(version) if version else any(pods.values()))
    }


def _check_upstreams(server: Server, before: Documents) -> None:
    """Let routes name Upstreams only that are there, and newly only those that Gloo has accepted."""
    earlier = _named(before)
    for address in _named(server.documents):
        if address in before or address not in earlier:
            assert address in server.documents, f"{address} is named, but not there"
        if address not in earlier:
            assert server.documents[address].get("status") == ACCEPTED, f"{address}: not known to Gloo yet"


def _named(documents: Documents) -> set[Address]:
    destinations = [
        entry["destination"]["upstream"]
        for (plural, _, _), document in documents.items()
        for _, entries in _destinations(plural, document)
        for entry in entries
    ]
    return {("upstreams", each["namespace"], each["name"]) for each in destinations}


def _check_finalizer(server: Server) -> None:
    """Let no Canary go whose candidate can still be reached."""
    canary = server.documents.get(CANARY)
    if canary is not None and FINALIZER in canary["metadata"].get("finalizers", ()):
        return
    assert not copied(server.documents), "copies without the finalizer"
    for label, parts in shares(server.documents).items():
        ours = {version for version in parts if "/" not in version}
        assert "headers" not in label, f"{label} without the finalizer"
        assert len(ours) <= 1, f"{label} is divided without the finalizer"


def _check_record(server: Server, before: Status) -> None:
    """Hold what is intended against what was asked and seen."""
    after = server.status
    hurried = str(before.hurry) != "No" or before.last_command != after.last_command
    if after.weight > before.weight and not hurried:
        assert server.asked_at == server.now, "a rise without having asked"
    if after.phase is not before.phase and after.phase in {Phase.PROMOTED, Phase.ROLLED_BACK}:
        assert after.stable is not None
        unread = [address for address in server.unreported if address[0] != "upstreams"]
        assert not unread, f"{after.phase}, but Gloo has said nothing of {unread}"
        for label, parts in shares(server.documents).items():
            ours = {version for version in parts if "/" not in version}
            assert ours <= {after.stable.version}, f"{after.phase}, but {label} gives {parts}"


def _check_command(before: Json, after: Json) -> None:
    text = before["metadata"].get("annotations", {}).get(ANNOTATION)
    if text is not None and ANNOTATION not in after["metadata"].get("annotations", {}):
        assert load_status(after["status"]).last_command == json.loads(text)["id"], "an order was lost"


def _check_retirement(server: Server, before: Documents) -> None:
    """Let an old version go only once it is of no use any more."""
    status = server.status
    assert at_rest(status.phase), f"decommissioned in {status.phase}"
    assert status.stable is not None
    address = ("deployments", KEY.namespace, status.stable.deployment)
    assert server.documents.get(address) == before[address], "stable was decommissioned"


def _version(documents: Documents, destination: Json, home: str) -> str:
    upstream = destination["upstream"]
    found = documents.get(("upstreams", upstream.get("namespace", home), upstream["name"]), {})
    clone = found.get("metadata", {}).get("annotations", {}).get("crossfade.dev/version")
    if clone:
        return str(clone)
    if not _is_ours(destination):
        return f"{upstream['namespace']}/{upstream['name']}"
    named = "" if upstream["name"] == "echo" else str(upstream["name"])
    return str(destination.get("subset", {}).get("values", {}).get("version", named))


def _destinations(plural: str, document: Json) -> Iterator[tuple[str, list[Json]]]:
    if plural == "upstreamgroups":
        yield "group", document["spec"]["destinations"]
    for route in _routes(plural, document):
        if entries := _entries(route.get("routeAction") or {}):
            yield json.dumps(route["matchers"], sort_keys=True), entries


def _routes(plural: str, document: Json) -> list[Json]:
    return _routes_of(document) if plural in {"virtualservices", "routetables"} else []


def _routes_of(document: Json) -> list[Json]:
    spec = document["spec"]
    found: list[Json] = spec.get("virtualHost", spec)["routes"]
    return found


def _entries(action: Json) -> list[Json]:
    if "single" in action:
        return [{"destination": action["single"], "weight": 1}]
    found: list[Json] = (action.get("multi") or {}).get("destinations") or []
    return found
