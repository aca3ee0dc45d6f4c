"""Random documents of Gloo's, rollouts, and where requests end up, told from the documents alone."""

import copy
import json
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from config import canary
from controller.gloo.destinations import Target
from controller.rollout.moves import Form


TARGET = Target("echo", "gloo-system", "version")
MATCHES = tuple(
    canary.TestingMatch.model_validate(each)
    for each in (
        {"headers": [{"name": "stage", "value": "canary"}]},
        {"headers": [{"name": "who", "regex": "qa-.*"}], "methods": ["GET", "POST"]},
        {"queryParameters": [{"name": "v", "present": True}]},
        {"methods": ["PUT"]},
    )
)
REQUESTS = (
    {"method": "GET", "headers": {}, "query": {}},
    {"method": "GET", "headers": {"stage": "canary"}, "query": {}},
    {"method": "POST", "headers": {"who": "qa-1"}, "query": {}},
    {"method": "DELETE", "headers": {"who": "qa-1", "debug": "1"}, "query": {}},
    {"method": "GET", "headers": {"debug": "1"}, "query": {"v": "2"}},
    {"method": "PUT", "headers": {"old": "1"}, "query": {}},
)

Json = dict[str, Any]
Traffic = dict[tuple[str, str], Fraction]


# Where a request ends up, told from the document alone, as Gloo reads it.


def traffic(document: Json, path: str, request: Json) -> Traffic | str:
    """Give (upstream, version) -> share; for a route without destinations its whole text."""
    routes = document["spec"]["virtualHost"]["routes"]
    hit = next((route for route in routes if reaches(route, path, request)), None)
    return "not found" if hit is None else destinations(hit) or json.dumps(hit, sort_keys=True)


def reaches(route: Json, path: str, request: Json) -> bool:
    return any(fits(matcher, path, request) for matcher in route.get("matchers") or [{"prefix": "/"}])


def fits(matcher: Json, path: str, request: Json) -> bool:
    right_path = path.startswith(matcher["prefix"]) if "prefix" in matcher else path == matcher["exact"]
    return (
        right_path
        and conditions_hold(matcher.get("headers", []), request["headers"])
        and conditions_hold(matcher.get("queryParameters", []), request["query"])
        and request["method"] in matcher.get("methods", [request["method"]])
    )


def conditions_hold(conditions: Iterable[Json], given_values: Json) -> bool:
    for each in conditions:
        found = given_values.get(each["name"])
        pattern = each.get("value", "") if each.get("regex") else re.escape(each.get("value", ""))
        if found is None or (each.get("value") and not re.fullmatch(pattern, found)):
            return False
    return True


def destinations(route: Json) -> Traffic:
    action = route.get("routeAction", {})
    entries = action.get("multi", {}).get("destinations", [])
    if "single" in action:
        entries = [{"destination": action["single"], "weight": 1}]
    total = sum(entry["weight"] for entry in entries)
    shares: Traffic = {}
    for entry in entries:
        upstream = entry["destination"]["upstream"]
        version = entry["destination"].get("subset", {}).get("values", {}).get("version", "*")
        key = f"{upstream.get('namespace', 'gloo-system')}/{upstream['name']}", version
        shares[key] = shares.get(key, Fraction()) + Fraction(entry["weight"], total)
    return shares


# Documents.

OPTIONS = st.fixed_dictionaries(
    {},
    optional={"timeout": st.just("1s"), "prefixRewrite": st.just("/x"), "x-new": st.just(1)},
)
DRESS = st.fixed_dictionaries(
    {}, optional={"options": OPTIONS, "x-later": st.lists(st.integers(), max_size=2)}
)
WEIGHT = st.integers(0, 300)


def leading(name: str, version: str | None, namespace: str = "gloo-system") -> Json:
    subset = {"subset": {"values": {"version": version}}} if version else {}
    return {"upstream": {"name": name, "namespace": namespace}, **subset}


OURS = st.sampled_from([None, "v1"]).map(lambda version: leading("echo", version))
THEIRS = st.sampled_from(["cart", "till"]).map(lambda name: leading(name, None, "shop"))


@st.composite
def weighted(draw: st.DrawFn) -> Json:
    entries = [{"destination": draw(THEIRS), "weight": draw(WEIGHT)} for _ in range(draw(st.integers(0, 2)))]
    entries.insert(
        draw(st.integers(0, len(entries))), {"destination": draw(OURS), "weight": draw(st.integers(1, 300))}
    )
    return {"multi": {"destinations": entries}}


FOREIGN = st.one_of(
    st.just({"redirectAction": {"hostRedirect": "example.org"}}),
    st.just({"directResponseAction": {"status": 404, "body": "gone"}}),
    st.just({"delegateAction": {"ref": {"name": "more", "namespace": "shop"}}}),
    st.just({"routeAction": {"upstreamGroup": {"name": "echo", "namespace": "gloo-system"}}}),
    THEIRS.map(lambda destination: {"routeAction": {"single": destination}}),
    st.just({"routeAction": {"single": leading("echo", "v0")}}),
    st.just({"routeAction": {"single": leading("echo", None, "elsewhere")}}),
)
MAIN = st.one_of(OURS.map(lambda destination: {"single": destination}), weighted())


@st.composite
def block(draw: st.DrawFn, path: str, *, managed: bool) -> list[Json]:
    """Give the routes of one path; at times an old version or a special case comes before the general one."""
    plain: list[Json] = [{"prefix": path}]
    if draw(st.booleans()):
        plain.append({"exact": f"{path}also", "methods": ["GET", "PUT"]})
    routes = []
    if managed and draw(st.booleans()):
        old = [{**each, "headers": [{"name": "old", "value": "1"}]} for each in plain]
        routes.append({"matchers": old, "routeAction": {"single": leading("echo", "v0")}, **draw(DRESS)})
    if managed and draw(st.booleans()):
        special = [{**each, "headers": [{"name": "debug"}]} for each in plain]
        routes.append({"matchers": special, "routeAction": draw(MAIN), **draw(DRESS)})
    action = {"routeAction": draw(MAIN)} if managed else draw(FOREIGN)
    return [*routes, {"matchers": plain, **action, **draw(DRESS)}]


@st.composite
def documents(draw: st.DrawFn) -> Json:
    managed = draw(st.lists(st.booleans(), min_size=1, max_size=4).filter(any))
    routes = [route for at, ours in enumerate(managed) for route in draw(block(f"/{at}/", managed=ours))]
    if draw(st.booleans()):
        routes.append({"routeAction": draw(MAIN), **draw(DRESS)})
    return {
        "kind": "VirtualService",
        "metadata": {"name": "echo", "namespace": "gloo-system"},
        "spec": {"virtualHost": {"domains": ["*"], "routes": routes}, "displayName": "kept"},
        "status": {"statuses": {}},
    }


@st.composite
def rollouts(draw: st.DrawFn) -> list[Form]:
    """Give forms as rollouts go through them: some end well, some do not, matches come and go."""
    forms, stable, written = [Form("v1")], "v1", set[canary.TestingMatch]()
    for number in range(draw(st.integers(1, 3))):
        candidate = f"v{number + 2}"
        testing: tuple[canary.TestingMatch, ...] = ()
        for weight in draw(st.lists(st.none() | st.integers(0, 100), max_size=4)):
            testing = tuple(draw(st.lists(st.sampled_from(MATCHES), max_size=3)))
            retired = tuple(match for match in MATCHES if match in written and match not in testing)
            forms.append(Form(stable, candidate, weight, testing, retired))
            written.update(testing)
        if draw(st.booleans()):
            forms.append(Form(stable, candidate, 100, testing, tuple(written - set(testing))))
            stable = candidate
        forms.append(Form(stable, retired=tuple(match for match in MATCHES if match in written)))
    return forms


# Promises.


def expected(before: Traffic | str, form: Form, request: Json) -> Traffic | str:
    """Say where a request must end up, from where it ended up before any rollout."""
    if isinstance(before, str) or not ours(before):
        return before
    part = sum((before[key] for key in ours(before)), Fraction())
    if form.candidate and any(covers(match, request) for match in form.testing):
        return {("gloo-system/echo", form.candidate): Fraction(1)}
    others = {key: share for key, share in before.items() if key not in ours(before)}
    weight = form.weight or 0
    divided = {form.stable: part * (100 - weight) / 100}
    if form.weight is not None and form.candidate:
        divided[form.candidate] = part * weight / 100
    return others | {("gloo-system/echo", version): share for version, share in divided.items()}


def ours(shares: Traffic) -> list[tuple[str, str]]:
    return [key for key in shares if key[0] == "gloo-system/echo" and key[1] != "v0"]


def covers(match: canary.TestingMatch, request: Json) -> bool:
    def holds(wanted: canary.ValueMatch, values: Json) -> bool:
        found = values.get(wanted.name)
        return found is not None and bool(
            wanted.present or found == wanted.value or (wanted.regex and re.fullmatch(wanted.regex, found))
        )

    return (
        all(holds(each, request["headers"]) for each in match.headers)
        and all(holds(each, request["query"]) for each in match.query_parameters)
        and (not match.methods or request["method"] in match.methods)
    )


def stripped(document: Json) -> Json:
    """Take away what a rollout may change: our destinations and all weights."""
    left = copy.deepcopy(document)
    for route in left["spec"]["virtualHost"]["routes"]:
        if ours(destinations(route)):
            action = route["routeAction"]
            entries = action.pop("multi", {}).get("destinations", [])
            action.pop("single", None)
            action["others"] = [
                entry["destination"]
                for entry in entries
                if entry["destination"]["upstream"]["name"] != "echo"
            ]
    return left


def weights(document: Json) -> list[int]:
    actions = (route.get("routeAction", {}) for route in document["spec"]["virtualHost"]["routes"])
    return [
        sum(each["weight"] for each in action["multi"]["destinations"])
        for action in actions
        if "multi" in action
    ]


CRD = Path(__file__).parents[3] / "shared" / "gloo-crds" / "gateway.solo.io_v1_VirtualService.yaml"
REF = {"type": "object", "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}}
VALUES = {"type": "object", "properties": {"values": {"type": "object"}}}
DESTINATION = {"type": "object", "properties": {"upstream": REF, "subset": VALUES}}
WEIGHTED = {
    "type": "object",
    "properties": {
        "destination": DESTINATION,
        "weight": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    },
}
CONDITION = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "value": {"type": "string"},
        "regex": {"type": "boolean"},
        "invertMatch": {"type": "boolean"},
    },
}
STRINGS = {"type": "array", "items": {"type": "string"}}
ROUTE = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "options": {},
        "redirectAction": {},
        "directResponseAction": {},
        "delegateAction": {},
        "inheritableMatchers": {"type": "boolean"},
        "inheritablePathMatchers": {"type": "boolean"},
        "matchers": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "prefix": {"type": "string"},
                    "exact": {"type": "string"},
                    "headers": {"type": "array", "items": CONDITION},
                    "queryParameters": {"type": "array", "items": CONDITION},
                    "methods": STRINGS,
                },
            },
        },
        "routeAction": {
            "type": "object",
            "properties": {
                "single": DESTINATION,
                "upstreamGroup": REF,
                "multi": {
                    "type": "object",
                    "properties": {"destinations": {"type": "array", "items": WEIGHTED}},
                },
            },
        },
    },
}


def route_schema() -> Any:  # JSON
    """Take the schema of a route from Gloo's own CRD where it is at hand, else the part that matters here."""
    if not CRD.exists():
        return closed(ROUTE)
    definition = yaml.load(CRD.read_text(), Loader=yaml.CSafeLoader)
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return closed(spec["properties"]["virtualHost"]["properties"]["routes"]["items"])


def closed(schema: Any) -> Any:  # JSON
    """Allow no fields that a schema does not name, but for the strategies' own `x-` fields."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "x-kubernetes-preserve-unknown-fields" not in schema:
        inner |= {"additionalProperties": False, "patternProperties": {"^x-": {}}}
    return inner


VALIDATOR = Draft202012Validator(route_schema())


def valid(routes: Sequence[Json]) -> list[str]:
    return [error.message for route in routes for error in VALIDATOR.iter_errors(route)]
