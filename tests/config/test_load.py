"""What people get wrong, and what they are told."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import load_canaries, load_spec
from config.metrics import QueryMetric
from config.problems import Problem, SpecError


COUNTER = 'requests_total{version="{{ version }}"}'
RATIO = {"name": "errors", "ratio": {"bad": COUNTER, "total": COUNTER}, "max": "1%"}
LATENCY = {"name": "slow", "histogram": {"buckets": COUNTER}, "max": {"quantile": 0.99, "seconds": 0.5}}
QUERY = {"name": "queue", "query": "queue_length", "max": 10}
SPEC: dict[str, Any] = {
    "workload": {"selector": {"app": "echo"}},
    "upstream": {"name": "echo", "namespace": "gloo-system"},
    "routes": [{"kind": "VirtualService", "name": "echo", "namespace": "gloo-system"}],
    "analysis": {"metrics": [RATIO, LATENCY, QUERY]},
}
GROUP = {"kind": "UpstreamGroup", "name": "echo", "namespace": "gloo-system"}


def spec(**fields: object) -> dict[str, Any]:
    return {**copy.deepcopy(SPEC), **fields}


def metric(**fields: object) -> dict[str, Any]:
    return spec(analysis={"metrics": [{"name": "m", **fields}]})


def header(**fields: object) -> dict[str, Any]:
    return spec(testing={"match": [{"headers": [fields]}]})


def complaints(wrong: object) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(wrong)
    return [str(problem) for problem in caught.value.errors]


WEIGHT = "a weight is a whole number from 1 to 100"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param(None, "spec: found nothing; a mapping of fields is needed", id="no spec"),
        pytest.param(
            spec(shifting={"steps": [5, 101]}),
            f"spec.shifting.steps[1]: found 101; {WEIGHT}",
            id="weight 101",
        ),
        pytest.param(
            spec(shifting={"steps": [0]}), f"spec.shifting.steps[0]: found 0; {WEIGHT}", id="weight 0"
        ),
        pytest.param(
            spec(shifting={"steps": ["5"]}),
            f"spec.shifting.steps[0]: found '5'; {WEIGHT}",
            id="text is no weight",
        ),
        pytest.param(
            spec(shifting={"steps": [True]}),
            f"spec.shifting.steps[0]: found true; {WEIGHT}",
            id="true is no weight",
        ),
        pytest.param(
            spec(shifting={"steps": [{"weight": 500}]}),
            f"spec.shifting.steps[0].weight: found 500; {WEIGHT}",
            id="weight of a step",
        ),
        pytest.param(
            spec(shifting={"steps": [5, 50, 25]}),
            "spec.shifting.steps[2]: found 25 after 50; weights must rise",
            id="steps fall",
        ),
        pytest.param(
            spec(shifting={"steps": [5, 5]}),
            "spec.shifting.steps[1]: found 5 after 5; weights must rise",
            id="steps repeat",
        ),
        pytest.param(
            spec(shifting={"steps": []}),
            "spec.shifting.steps: found an empty list; must have at least 1",
            id="no steps",
        ),
        pytest.param(
            spec(shifting={"steps": 5}), "spec.shifting.steps: found 5; a list is needed", id="no list"
        ),
        pytest.param(
            spec(shifting={"steps": {"start": 60, "increment": 5, "max": 50}}),
            "spec.shifting.steps.start: found 60, which is above max 50",
            id="ramp upside down",
        ),
        pytest.param(
            spec(shifting={"interval": 60}),
            "spec.shifting.interval: found 60; a duration looks like 30s, 1m30s or 2h",
            id="number for a duration",
        ),
        pytest.param(
            spec(shifting={"interval": "-5s"}),
            "spec.shifting.interval: found '-5s'; a duration looks like 30s, 1m30s or 2h",
            id="negative duration",
        ),
        pytest.param(
            metric(ratio=RATIO["ratio"], max=1),
            "spec.analysis.metrics[0].max: found 1; write 1% or 0.01",
            id="percentage without sign",
        ),
        pytest.param(
            metric(ratio=RATIO["ratio"], max="1 %"),
            "spec.analysis.metrics[0].max: found '1 %'; a share looks like 1% or 0.01",
            id="percentage with a space",
        ),
        pytest.param(
            metric(ratio=RATIO["ratio"], max="150%"),
            "spec.analysis.metrics[0].max: found '150%'; a share is more than 0% and less than 100%",
            id="percentage beyond 100",
        ),
        pytest.param(
            metric(histogram=LATENCY["histogram"], max={"quantile": 99, "seconds": 1}),
            "spec.analysis.metrics[0].max.quantile: found 99; write 0.99",
            id="quantile in percent",
        ),
        pytest.param(
            metric(histogram=LATENCY["histogram"], max="500ms"),
            "spec.analysis.metrics[0].max: found '500ms'; "
            "a latency limit looks like {quantile: 0.99, seconds: 0.5}",
            id="latency as a duration",
        ),
        pytest.param(
            metric(query="up"),
            "spec.analysis.metrics[0]: say max, min or both; without a bound the query decides nothing",
            id="query without bounds",
        ),
        pytest.param(
            metric(query="up", min=2, max=1),
            "spec.analysis.metrics[0].min: found 2, which is above max 1",
            id="bounds crossed",
        ),
        pytest.param(
            metric(query="up", max=float("inf")),
            "spec.analysis.metrics[0].max: found inf; a finite number is needed",
            id="endless bound",
        ),
        pytest.param(
            metric(query="up", max=True),
            "spec.analysis.metrics[0].max: found true; a number is needed",
            id="true",
        ),
        pytest.param(
            metric(max=5),
            "spec.analysis.metrics[0]: found name, max; "
            "a metric has exactly one of preset, templateRef, ratio, histogram and query",
            id="no kind of metric",
        ),
        pytest.param(
            metric(query="up", ratio=RATIO["ratio"], max="1%"),
            "spec.analysis.metrics[0]: found name, query, ratio, max; "
            "a metric has exactly one of preset, templateRef, ratio, histogram and query",
            id="two kinds of metric",
        ),
        pytest.param(
            spec(analysis={"metrics": [QUERY, QUERY]}),
            "spec.analysis.metrics[1].name: found 'queue', which metrics[0] is called already",
            id="metric named twice",
        ),
        pytest.param(
            spec(analysis={"metrics": [QUERY], "interval": "500ms"}),
            "spec.analysis.interval: found 500ms; must be at least 1s",
            id="too often",
        ),
        pytest.param(
            spec(analysis={"metrics": [QUERY], "minRequests": "100"}),
            "spec.analysis.minRequests: found '100'; a whole number is needed",
            id="text for a number",
        ),
        pytest.param(
            header(name="stage"),
            "spec.testing.match[0].headers[0]: say exactly one of value, regex and present: true",
            id="header without a condition",
        ),
        pytest.param(
            header(name="stage", value="canary", present=True),
            "spec.testing.match[0].headers[0]: say exactly one of value, regex and present: true",
            id="header with two conditions",
        ),
        pytest.param(
            header(name="stage", present=False),
            "spec.testing.match[0].headers[0].present: found false; must be true",
            id="absent header",
        ),
        pytest.param(
            header(name="my stage", present=True),
            "spec.testing.match[0].headers[0].name: found 'my stage'; a name without spaces is needed",
            id="header with a space",
        ),
        pytest.param(
            spec(testing={"match": [{}]}),
            "spec.testing.match[0]: an empty match would send everybody to the candidate; "
            "name a header, for example",
            id="match everybody",
        ),
        pytest.param(
            spec(testing={"match": [{"methods": ["GET"]}], "approval": "manual"}),
            "spec.testing.approval: found 'manual'; must be Manual or Automatic; did you mean Manual?",
            id="near an allowed word",
        ),
        pytest.param(
            spec(workload={"selector": {}}),
            "spec.workload.selector: found an empty mapping; must have at least 1",
            id="empty selector",
        ),
        pytest.param(
            spec(workload={"selector": {"app": 5}}),
            "spec.workload.selector.app: found 5; text is needed; put quotes around it",
            id="number as a label",
        ),
        pytest.param(
            spec(workload={"selector": {"my app": "x"}}),
            "spec.workload.selector[my app]: found 'my app'; a label's key looks like app or example.org/app",
            id="label's key",
        ),
        pytest.param(
            spec(routes=[{"kind": "Route", "name": "echo", "namespace": "x"}]),
            "spec.routes[0].kind: found 'Route'; must be VirtualService, RouteTable or UpstreamGroup; "
            "did you mean RouteTable?",
            id="kind of route",
        ),
        pytest.param(
            spec(routes=[{**GROUP, "names": ["web"]}]),
            "spec.routes[0].names: an UpstreamGroup has no routes to choose from; "
            "leave out names and prefixes",
            id="names of a group",
        ),
        pytest.param(
            spec(routes=[{**GROUP, "prefixes": ["/"]}]),
            "spec.routes[0].prefixes: an UpstreamGroup has no routes to choose from; "
            "leave out names and prefixes",
            id="prefixes of a group",
        ),
        pytest.param(
            spec(routes=[{**SPEC["routes"][0], "prefixes": ["api"]}]),
            "spec.routes[0].prefixes[0]: found 'api'; a path begins with / and has no spaces",
            id="prefix without a slash",
        ),
        pytest.param(
            spec(routes=[{**SPEC["routes"][0], "names": ["web", "api", "web"]}]),
            "spec.routes[0].names[2]: web is named twice",
            id="name twice",
        ),
        pytest.param(
            spec(routes=[SPEC["routes"][0], {**SPEC["routes"][0], "names": ["web"]}]),
            "spec.routes[1]: gloo-system/echo is named twice",
            id="route twice, chosen differently",
        ),
        pytest.param(
            spec(routes=[GROUP], testing={"match": [{"methods": ["GET"]}]}),
            "spec.testing: an UpstreamGroup has no matchers to tell testers by; name a VirtualService or "
            "RouteTable whose routes lead to it in spec.routes too, or leave testing out",
            id="testing of a group alone",
        ),
        pytest.param(
            spec(routes=SPEC["routes"] * 2),
            "spec.routes[1]: gloo-system/echo is named twice",
            id="route twice",
        ),
        pytest.param(
            spec(upstream={"name": "Echo", "namespace": "x"}),
            "spec.upstream.name: found 'Echo'; a name has lower case letters, digits, '-' and '.', "
            "and begins and ends with a letter or digit",
            id="capital in a name",
        ),
        pytest.param(
            spec(paused="yes"), "spec.paused: found 'yes'; must be true or false", id="text for a boolean"
        ),
        pytest.param(
            spec(baking=None), "spec.baking: found nothing; a mapping of fields is needed", id="blank"
        ),
    ],
)
def test_one_mistake_gives_one_complaint_in_plain_words(wrong: object, said: str) -> None:
    assert complaints(wrong) == [said]


@pytest.mark.parametrize(
    ("wrong", "path", "allowed"),
    [
        pytest.param(
            spec(shiftng={}),
            "spec.shiftng: unknown field; did you mean shifting?",
            "analysis, baking",
            id="top",
        ),
        pytest.param(
            spec(shifting={"intervall": "1m"}),
            "spec.shifting.intervall: unknown field; did you mean interval?",
            "interval, steps, timeout",
            id="nested",
        ),
        pytest.param(
            spec(shifting={"steps": [{"weight": 5, "soak": "1m"}]}),
            "spec.shifting.steps[0].soak: unknown field",
            "approval, interval, weight",
            id="in a step",
        ),
        pytest.param(
            spec(shifting={"steps": {"increment": 5, "maximum": 5}}),
            "spec.shifting.steps.maximum: unknown field",
            "increment, max, start",
            id="in a ramp",
        ),
        pytest.param(
            metric(ratio=RATIO["ratio"], max="1%", min=0),
            "spec.analysis.metrics[0].min: unknown field",
            "dryRun, max, name, ratio, templateVariables, tolerate",
            id="of another kind of metric",
        ),
        pytest.param(
            spec(analysis={"metrics": [QUERY], "dryrun": True}),
            "spec.analysis.dryrun: unknown field; did you mean dryRun?",
            "advance, blind, dryRun, falseRollbackRate, harmBudget, interval, metrics, minRequests, "
            "mustNotExceed, settle",
            id="of the analysis",
        ),
        pytest.param(
            metric(preset="http-errors", query_="up"),
            "spec.analysis.metrics[0].query_: unknown field",
            "dryRun, failureLimit, max, min, name, preset, templateVariables, tolerate",
            id="of a preset",
        ),
        pytest.param(
            metric(templateRef={"name": "x"}, query_="up"),
            "spec.analysis.metrics[0].query_: unknown field",
            "dryRun, failureLimit, max, min, name, templateRef, templateVariables, tolerate",
            id="of a reference to a template",
        ),
    ],
)
def test_an_unknown_field_is_told_what_is_allowed_there(wrong: object, path: str, allowed: str) -> None:
    (complaint,) = complaints(wrong)
    assert complaint.startswith(path)
    assert f"; allowed: {allowed}" in complaint


def test_all_mistakes_are_told_at_once() -> None:
    assert len(complaints(spec(paused=1, shifting={"steps": [0, 5, 500]}, upstream={"name": "x"}))) == 4


def test_a_good_spec_is_loaded_with_its_defaults() -> None:
    loaded = load_spec(SPEC)
    assert loaded.workload.version_label == "version"
    assert loaded.analysis.metrics[2] == QueryMetric(name="queue", query="queue_length", max=10)
    assert loaded.analysis.false_rollback_rate == 0.01


GOOD = """\
apiVersion: crossfade.dev/v1alpha1
kind: Canary
metadata: {name: echo, namespace: echo}
spec:
  workload: {selector: {app: echo}}
  upstream: {name: echo, namespace: gloo-system}
  routes:
    - {name: echo, namespace: gloo-system}
  analysis:
    metrics:
      - {name: up, query: up, min: 1}
"""


def told(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_canaries(text)
    return [str(problem) for problem in caught.value.errors]


def test_other_objects_in_the_file_are_passed_over() -> None:
    text = f"kind: Service\napiVersion: v1\n1: 2\n---\n{GOOD}---\n# nothing\n---\n- a list\n"
    assert [canary.metadata.name for canary in load_canaries(text)] == ["echo"]


def test_the_canary_of_another_product_is_passed_over() -> None:
    assert load_canaries("apiVersion: flagger.app/v1beta1\nkind: Canary\nspec: {}\n") == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(
            "min: 1", "mni: 1", "11:31: spec.analysis.metrics[0].mni: unknown field", id="in braces"
        ),
        pytest.param(
            "name: up", "name: u p", "11:10: spec.analysis.metrics[0].name: found 'u p'", id="value"
        ),
        pytest.param("app: echo", "app: !!binary aGk=", "5:25: spec.workload.selector.app: found", id="tag"),
        pytest.param(
            "  analysis:", "  paused: 1\n  analysis:", "9:3: spec.paused: found 1", id="plain field"
        ),
        pytest.param("namespace: echo", "namespace: E", "3:24: metadata.namespace: found 'E'", id="metadata"),
        pytest.param("kind: Canary", "kind: Canry", "2:1: kind: found 'Canry'; must be Canary", id="kind"),
        pytest.param("v1alpha1", "v2", "1:1: apiVersion: found 'crossfade.dev/v2'", id="version"),
        pytest.param("{app: echo}", "{5: echo}", "5:14: spec.workload.selector: found the key 5", id="key"),
        pytest.param(
            " {name: echo, namespace: gloo-system}\n  routes", "\n  routes", "6:3: spec.upstream", id="blank"
        ),
    ],
)
def test_a_mistake_in_a_file_has_line_and_column(old: str, new: str, said: str) -> None:
    assert told(GOOD.replace(old, new, 1))[0].startswith(said)


def test_a_missing_field_is_placed_at_what_it_is_missing_from() -> None:
    assert told(GOOD.replace(", query: up", "").replace(", min: 1", ", ratio: {bad: x}, max: 1%"))[:1] == [
        "11:20: spec.analysis.metrics[0].ratio.total: required"
    ]


def test_lines_are_counted_through_all_documents_and_problems_come_in_their_order() -> None:
    broken = GOOD.replace("min: 1", "min: x")
    assert [line.partition(": ")[0] for line in told(f"{broken}---\n{broken}")] == ["11:31", "23:31"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("a: b: c", "1:5: not valid YAML: mapping values are not allowed here", id="two colons"),
        pytest.param(
            "a: [1\nb: 2", "2:2: not valid YAML: expected ',' or ']', but got ':'", id="open bracket"
        ),
        pytest.param(
            "\ta: 1", "1:1: not valid YAML: found character '\\t' that cannot start any token", id="tab"
        ),
        pytest.param("a: *b", "1:4: not valid YAML: found undefined alias 'b'", id="alias"),
        pytest.param("a: \x07", "not valid YAML: unacceptable character #x0007", id="control character"),
        pytest.param("{" * 5000, "1:65: nested too deeply", id="deep"),
        pytest.param("a" * 2**21, "larger than 1 MiB", id="large"),
    ],
)
def test_what_is_not_yaml_is_said_with_its_place(text: str, said: str) -> None:
    (complaint,) = told(text)
    assert complaint.startswith(said)


def test_a_key_may_stand_only_once() -> None:
    (complaint,) = told(GOOD.replace("  routes:", "  upstream: {name: a, namespace: b}\n  routes:"))
    assert complaint.startswith("7:3: not valid YAML: found duplicate key")


def test_yes_and_on_are_booleans_as_they_are_for_kubectl() -> None:
    (canary,) = load_canaries(GOOD + "  paused: on\n")
    assert canary.spec.paused


def test_aliases_cannot_explode() -> None:
    bomb = "".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12))
    (complaint,) = told(f"{GOOD}  a0: &a0 [x]\n{bomb}")
    assert "more than 100000 values" in complaint


def problems_of(load: Callable[[Any], object], value: object) -> tuple[Problem, ...]:
    try:
        load(value)
    except SpecError as error:
        return error.errors or (Problem("", ""),)
    return ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = st.sampled_from(
    [
        (),
        ("workload",),
        ("workload", "selector"),
        ("routes",),
        ("routes", 0),
        ("shifting",),
        ("testing",),
        ("analysis", "metrics"),
        ("analysis", "metrics", 0),
        ("analysis", "metrics", 0, "max"),
        ("analysis", "metrics", 1, "max"),
        ("analysis", "metrics", 3),
        ("analysis", "metrics", 4),
        ("analysis", "metrics", 4, "templateVariables"),
    ]
)


@given(
    place=PLACES,
    key=st.sampled_from(
        ["steps", "match", "interval", "ratio", "query", "name", "x y", "preset", "templateRef", "max"]
    ),
    junk=JSON,
)
def test_whatever_stands_there_is_loaded_or_refused_in_words(
    place: tuple[Any, ...], key: str, junk: object
) -> None:
    wrong: Any = spec(testing={"match": [{"methods": ["GET"]}]}, shifting={})
    wrong["analysis"]["metrics"] += [{"preset": "http-errors"}, {**QUERY, "templateVariables": {}}]
    target = wrong
    for part in place:
        target = target[part]
    if isinstance(target, list):
        target.append(junk)
    elif isinstance(target, dict):
        target[key] = junk
    else:
        wrong["analysis"]["metrics"][0]["max"] = junk
    for problem in problems_of(load_spec, wrong):
        assert problem.path.startswith("spec")
        assert problem.message
        assert "pydantic" not in str(problem)
        assert "Input should" not in problem.message


@given(text=st.text(alphabet="apiVerson: crsfd/v1l\nk[]{}-&*!|>#'\",\t ", max_size=80))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    for problem in problems_of(load_canaries, f"apiVersion: crossfade.dev/v1alpha1\nkind: Canary\n{text}"):
        assert problem.message
