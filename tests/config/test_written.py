"""Presets, templates and variables: what they stand for, and what people get wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.load import load_canaries, load_spec, templates_in
from config.metrics import HistogramMetric, Metric, QueryMetric, RatioMetric
from config.placeholders import resolve
from config.presets import PRESETS
from config.problems import SpecError


VERSION = 'version="{{ version }}"'
OF_TEAM = {
    "ratio": {"bad": f'failed{{{VERSION}, team="{{{{ team }}}}"}}', "total": f"served{{{VERSION}}}"},
    "max": "2%",
    "tolerate": 3,
    "dryRun": True,
}
QUEUE = {"query": "max(queue)", "max": 10}
LATENCY = {"histogram": {"buckets": f"b{{{VERSION}}}"}, "max": {"quantile": 0.9, "seconds": 1}}
TEMPLATES: dict[str, dict[str, Any]] = {"of-team": OF_TEAM, "queue": QUEUE, "latency": LATENCY}


def spec(*metrics: object) -> dict[str, Any]:
    return {
        "workload": {"selector": {"app": "echo"}},
        "upstream": {"name": "echo", "namespace": "gloo-system"},
        "routes": [{"name": "echo", "namespace": "gloo-system"}],
        "analysis": {"metrics": list(metrics)},
    }


def loaded(metric: object, templates: dict[str, Any] = TEMPLATES) -> Metric:
    found = load_spec(spec(metric), templates)
    (only,) = found.analysis.metrics
    dumped = found.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    assert load_spec(dumped) == found, "a rollout remembers what was written out"
    return only


def complaint(metric: object, templates: dict[str, Any] = TEMPLATES) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(spec(QUERY, metric), templates)
    return str(caught.value)


QUERY = {"name": "first", "query": "up", "min": 1}
AT = "spec.analysis.metrics[1]"


def test_a_preset_is_called_as_it_is_and_tolerates_as_much_as_any_metric() -> None:
    errors = loaded({"preset": "http-errors"})
    assert isinstance(errors, RatioMetric)
    assert (errors.name, errors.max, errors.tolerate, errors.dry_run) == ("http-errors", None, 1.5, False)


def test_what_is_said_beside_a_preset_counts() -> None:
    errors = loaded({"preset": "http-errors", "name": "errors", "max": "1%", "tolerate": 2, "dryRun": True})
    assert isinstance(errors, RatioMetric)
    assert (errors.name, errors.max, errors.tolerate, errors.dry_run) == ("errors", 0.01, 2, True)
    latency = loaded({"preset": "http-latency", "max": {"quantile": 0.99, "seconds": 0.5}})
    assert isinstance(latency, HistogramMetric)
    assert latency.max is not None
    assert (latency.max.quantile, latency.max.seconds) == (0.99, 0.5)


@pytest.mark.parametrize("label", ["code", "status"])
def test_errors_are_found_by_code_or_status_and_only_where_there_is_one(label: str) -> None:
    errors = loaded({"preset": "http-errors"})
    assert isinstance(errors, RatioMetric)
    where = 'http_requests_total{namespace="{{ namespace }}", version="{{ version }}", '
    assert f'{where}{label}=~"5.."}}' in errors.ratio.bad.split(" or ")
    assert f'{where}{label}!=""}}' in errors.ratio.total.split(" or ")


BUILT_IN = "envoy-errors, envoy-latency, http-errors, http-latency"
ELSEWHERE = "; to know the platform's too, name the controller's settings file in CROSSFADE_CONFIG"
INSTEAD = (
    "Envoy has no statistics per subset, and would count both versions as one "
    "(destinations: Subsets); say destinations: Upstreams, or use {}, which asks the application"
)


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        pytest.param(
            {"preset": "envoy-errors"}, f".preset: {INSTEAD.format('http-errors')}", id="errors of Envoy"
        ),
        pytest.param(
            {"preset": "envoy-latency"}, f".preset: {INSTEAD.format('http-latency')}", id="latency of Envoy"
        ),
        pytest.param(
            {"name": "x", "query": 'x{c="{{ cluster }}"}', "max": 1},
            f": {INSTEAD.format('metrics of the application').removesuffix(', which asks the application')}",
            id="an Envoy cluster",
        ),
        pytest.param(
            {"preset": "http-error"},
            f'.preset: no preset "http-error"; built in are: {BUILT_IN}; '
            f"did you mean http-errors?{ELSEWHERE}",
            id="nearly a preset",
        ),
        pytest.param(
            {"preset": 5},
            ".preset: found 5; text is needed; put quotes around it",
            id="no preset at all",
        ),
        pytest.param(
            {"preset": "Errors"},
            ".preset: found 'Errors'; a name has lower case letters, digits, '-' and '.', "
            "and begins and ends with a letter or digit",
            id="no name",
        ),
        pytest.param(
            {"preset": "http-errors", "failureLimit": 2},
            ".failureLimit: only a query fails several times in a row; here requests are counted, "
            "and max, tolerate and falseRollbackRate say when it goes back",
            id="several failures in a row",
        ),
        pytest.param(
            {"preset": "http-errors", "templateVariables": {"team": "shop"}},
            ".templateVariables.team: no expression has {{ team }}",
            id="a variable that is nowhere",
        ),
        pytest.param(
            {"preset": "http-latency", "max": "1%"},
            ".max: found '1%'; a latency limit looks like {quantile: 0.99, seconds: 0.5}",
            id="a share of latency",
        ),
        pytest.param(
            {"preset": "http-errors", "max": {"quantile": 0.99, "seconds": 0.5}},
            ".max: found a mapping; a share looks like 1% or 0.01",
            id="seconds of errors",
        ),
        pytest.param(
            {"preset": "http-latency", "max": {"quantile": 99, "seconds": 0.5}},
            ".max.quantile: found 99; write 0.99",
            id="deep in a preset",
        ),
        pytest.param(
            {"preset": "http-errors", "ratio": OF_TEAM["ratio"]},
            ": found preset, ratio; "
            "a metric has exactly one of preset, templateRef, ratio, histogram and query",
            id="preset and ratio",
        ),
        pytest.param(
            {"preset": "http-errors", "name": "first"},
            ".name: found 'first', which metrics[0] is called already",
            id="named twice",
        ),
    ],
)
def test_a_wrong_preset_is_told_where_it_was_written(metric: dict[str, Any], said: str) -> None:
    assert complaint(metric) == AT + said


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("destinations", ["Subsets", "Upstreams"])
def test_every_preset_is_sound_where_versions_can_be_told_apart(preset: str, destinations: str) -> None:
    given = {**spec({"preset": preset}), "destinations": destinations}
    if destinations == "Subsets" and preset.startswith("envoy-"):
        with pytest.raises(SpecError, match="Envoy has no statistics per subset"):
            load_spec(given)
    else:
        assert load_spec(given).analysis.metrics[0].name == preset


def of_the_platform(metric: dict[str, Any], **presets: Any) -> Metric:
    (only,) = load_spec(spec(metric), {}, presets).analysis.metrics
    return only


def test_a_preset_of_the_platform_is_what_its_settings_say() -> None:
    metric = of_the_platform({"preset": "queue", "name": "waiting", "max": 5, "failureLimit": 1}, queue=QUEUE)
    assert isinstance(metric, QueryMetric)
    assert (metric.name, metric.query, metric.max, metric.failure_limit) == ("waiting", "max(queue)", 5, 1)
    assert of_the_platform({"preset": "queue"}, queue=QUEUE).name == "queue"


def test_a_preset_of_the_platform_may_have_variables() -> None:
    given = {"preset": "errors", "templateVariables": {"team": "shop"}, "tolerate": 2}
    metric = of_the_platform(given, errors=OF_TEAM)
    assert isinstance(metric, RatioMetric)
    assert metric.ratio.bad == 'failed{version="{{ version }}", team="shop"}'
    assert (metric.max, metric.tolerate, metric.dry_run) == (0.02, 2, True)


def test_nothing_takes_the_place_of_what_is_built_in() -> None:
    metric = of_the_platform({"preset": "http-errors"}, **{"http-errors": QUEUE})
    assert isinstance(metric, RatioMetric)


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        pytest.param(
            {"queues": QUEUE},
            f'no preset "queue"; there are: {BUILT_IN}, queues; did you mean queues?',
            id="another",
        ),
        pytest.param({}, f'no preset "queue"; there are: {BUILT_IN}', id="none"),
        pytest.param(
            {"queue": {"query": 5, "max": 1}},
            'preset "queue" is broken: spec.query: found 5; text is needed; put quotes around it',
            id="broken",
        ),
        pytest.param({"queue": 5}, 'preset "queue" is broken: spec: found 5; exactly one', id="junk"),
        pytest.param({"queue": OF_TEAM}, 'preset "queue" needs templateVariables: team', id="a variable"),
    ],
)
def test_a_preset_that_cannot_be_used_is_told_where_it_is_named(presets: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(spec({"preset": "queue"}), {}, presets)
    assert str(caught.value).startswith(f"spec.analysis.metrics[0].preset: {said}")


def test_of_the_platforms_presets_those_that_envoy_counts_need_an_upstream_per_version() -> None:
    counter = 'x{envoy_cluster_name="{{ cluster }}"}'
    presets = {"gate": {"ratio": {"bad": counter, "total": counter}}}
    with pytest.raises(SpecError, match=r"metrics\[0\].preset: Envoy has no statistics per subset"):
        load_spec(spec({"preset": "gate"}), {}, presets)
    apart = {**spec({"preset": "gate"}), "destinations": "Upstreams"}
    assert load_spec(apart, {}, presets).analysis.metrics[0].name == "gate"


def test_a_template_brings_everything_but_the_variables() -> None:
    metric = loaded({"templateRef": {"name": "of-team"}, "templateVariables": {"team": "shop"}})
    assert isinstance(metric, RatioMetric)
    assert metric.ratio.bad == 'failed{version="{{ version }}", team="shop"}'
    assert metric.ratio.total == "served{" + VERSION + "}"
    assert (metric.name, metric.max, metric.tolerate, metric.dry_run) == ("of-team", 0.02, 3, True)


def test_what_is_said_beside_a_template_wins() -> None:
    metric = loaded(
        {
            "templateRef": {"name": "of-team"},
            "templateVariables": {"team": "shop"},
            "name": "errors",
            "max": "1%",
            "tolerate": 2,
            "dryRun": False,
        }
    )
    assert isinstance(metric, RatioMetric)
    assert (metric.name, metric.max, metric.tolerate, metric.dry_run) == ("errors", 0.01, 2, False)
    query = loaded({"templateRef": {"name": "queue"}, "failureLimit": 7, "min": 2})
    assert query == QueryMetric(name="queue", query="max(queue)", max=10, min=2, failureLimit=7)


@pytest.mark.parametrize("blank", ["name", "max", "tolerate", "dryRun", "failureLimit", "min"])
def test_what_is_left_blank_beside_a_template_is_the_templates(blank: str) -> None:
    reference = {"templateRef": {"name": "of-team"}, "templateVariables": {"team": "shop"}}
    assert loaded({**reference, blank: None}) == loaded(reference)


THERE = "there are: latency, of-team, queue"


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        pytest.param(
            {"templateRef": {"name": "x"}},
            f'.templateRef.name: no MetricTemplate "x" in this namespace; {THERE}',
            id="unknown",
        ),
        pytest.param({"templateRef": {}}, ".templateRef.name: required", id="nameless"),
        pytest.param(
            {"templateRef": "queue"},
            ".templateRef: found 'queue'; a mapping of fields is needed",
            id="only a name",
        ),
        pytest.param(
            {"templateRef": {"name": "of-team"}},
            '.templateRef.name: MetricTemplate "of-team" needs templateVariables: team',
            id="without its variable",
        ),
        pytest.param(
            {"templateRef": {"name": "queue"}, "templateVariables": {"team": "x"}},
            ".templateVariables.team: no expression has {{ team }}",
            id="with a variable too many",
        ),
        pytest.param(
            {"templateRef": {"name": "latency"}, "max": "1%"},
            ".max: found '1%'; a latency limit looks like {quantile: 0.99, seconds: 0.5}",
            id="overridden by the wrong kind",
        ),
        pytest.param(
            {"templateRef": {"name": "queue"}, "min": 11},
            ".min: found 11, which is above max 10",
            id="overridden beyond the other bound",
        ),
        pytest.param(
            {"templateRef": {"name": "queue"}, "query": "up"},
            ": found templateRef, query; "
            "a metric has exactly one of preset, templateRef, ratio, histogram and query",
            id="and a query",
        ),
    ],
)
def test_a_wrong_reference_is_told_where_it_was_written(metric: dict[str, Any], said: str) -> None:
    assert complaint(metric) == AT + said


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param(
            {**OF_TEAM, "max": 5},
            "spec.max: found 5; write 5% or 0.05",
            id="a number",
        ),
        pytest.param(
            {**OF_TEAM, "max": 5, "tolerate": 0},
            "spec.tolerate: found 0; at least 1, as bad as stable; 1.5 is half as bad again; "
            "spec.max: found 5; write 5% or 0.05",
            id="two mistakes",
        ),
        pytest.param(
            {**QUEUE, "name": "x"}, "spec.name: unknown field; allowed: dryRun, failure", id="a name"
        ),
        pytest.param(
            {"preset": "http-errors"},
            "spec: found preset; exactly one of ratio, histogram and query is needed",
            id="a preset",
        ),
        pytest.param(
            {"query": "up{x='{{ 5 }}'}", "max": 1},
            "spec.query: unknown placeholder {{ 5 }}",
            id="no variable",
        ),
        pytest.param(
            {"ratio": {"bad": "x", "total": "rate(x[5m])"}},
            "spec.ratio.bad: counts all versions as one",
            id="no version",
        ),
        pytest.param(None, "spec: found nothing", id="nothing"),
    ],
)
def test_a_broken_template_is_told_with_its_own_path(template: object, said: str) -> None:
    told = complaint({"templateRef": {"name": "it"}, "max": 1}, {"it": template})
    assert told.startswith(f'{AT}.templateRef.name: MetricTemplate "it" is broken: {said}')


def test_a_broken_template_that_nobody_asks_for_harms_nobody() -> None:
    assert loaded({"preset": "http-errors"}, {"it": {"query": 5}}).name == "http-errors"


def test_where_there_is_no_template_that_is_said() -> None:
    told = complaint({"templateRef": {"name": "x"}}, {})
    assert told == f'{AT}.templateRef.name: no MetricTemplate "x" in this namespace; there is none'


def variables(text: str, **given: object) -> dict[str, Any]:
    return {"name": "m", "query": text, "max": 1, "templateVariables": given}


def test_variables_may_be_used_in_any_metric() -> None:
    metric = loaded(variables('up{code=~"{{ codes }}|999", v="{{ version }}"}', codes="5.."))
    assert isinstance(metric, QueryMetric)
    assert metric.query == 'up{code=~"5..|999", v="{{ version }}"}'


@pytest.mark.parametrize(
    ("metric", "said"),
    [
        pytest.param(
            variables("up", job="x"), ".templateVariables.job: no expression has {{ job }}", id="unused"
        ),
        pytest.param(
            variables('up{j="{{ job }}"}'),
            ".query: unknown placeholder {{ job }}; allowed: candidate, cluster, deployment, name, "
            "namespace, stable, upstream, version, window, and what templateVariables names",
            id="missing",
        ),
        pytest.param(
            variables("up > {{ least }}", least="1 or up"),
            ".templateVariables.least: found '1 or up'; outside of quotes a value is one word",
            id="more than a word",
        ),
        pytest.param(
            variables('up{v="{{ version }}"}', version="v1"),
            ".templateVariables.version: found 'version', which has a meaning already",
            id="a name that is taken",
        ),
        pytest.param(
            variables('up{v="{{ x }}"}', x="{{ version }}"),
            ".templateVariables.x: found '{{ version }}'; a variable cannot hold placeholders",
            id="a placeholder in a placeholder",
        ),
        pytest.param(
            variables('up{p="{{ port }}"}', port=80),
            ".templateVariables.port: found 80; text is needed; put quotes around it",
            id="a number",
        ),
        pytest.param(
            variables("up", **{"my job": "x"}),
            ".templateVariables[my job]: found 'my job'; "
            "a variable has letters, digits and '_', and begins with no digit",
            id="two words",
        ),
        pytest.param(
            {**variables("up{j='{{ job }}'}", job="x"), "query": ["up{j='{{ job }}'}"]},
            ".templateVariables.job: no expression has {{ job }}",
            id="a list for an expression",
        ),
        pytest.param(
            {**variables("up"), "templateVariables": ["job"]},
            ".templateVariables: found a list of 1; a mapping is needed",
            id="a list",
        ),
    ],
)
def test_a_wrong_variable_is_told_where_it_was_written(metric: dict[str, Any], said: str) -> None:
    assert complaint(metric) == AT + said


def test_a_variable_cannot_turn_a_counter_into_a_rate() -> None:
    told = complaint(
        {
            "name": "m",
            "histogram": {"buckets": "{{ how }}(x{" + VERSION + "}[1m])"},
            "templateVariables": {"how": "rate"},
        }
    )
    assert told.startswith(f"{AT}.histogram.buckets: found rate()")


@given(value=st.text(max_size=20).filter(lambda text: "{{" not in text and "}}" not in text))
@pytest.mark.parametrize("quote", ["'", '"', "`"])
def test_a_variable_means_the_same_as_if_it_were_filled_in_with_the_others(quote: str, value: str) -> None:
    """In a regular expression it means what it means in any string."""
    text = f"up{{a={quote}x{{{{ it }}}}{quote}, b=~{quote}{{{{ version }}}}.{{{{ it }}}}{quote}}}"
    metric = loaded(variables(text, it=value))
    assert isinstance(metric, QueryMetric)
    version = {"version": "1\"2'"}
    plain = resolve(text.replace(" b=~", " b="), {**version, "it": value})
    assert resolve(metric.query, version).replace(" b=~", " b=") == plain


CANARY = """\
apiVersion: crossfade.dev/v1alpha1
kind: Canary
metadata: {name: echo, namespace: shop}
spec:
  workload: {selector: {app: echo}}
  upstream: {name: echo, namespace: gloo-system}
  routes:
    - {name: echo, namespace: gloo-system}
  analysis:
    metrics:
      - {templateRef: {name: queue}, max: 5}
"""
TEMPLATE = """\
apiVersion: crossfade.dev/v1alpha1
kind: MetricTemplate
metadata: {name: queue, namespace: shop}
spec: {query: max(queue), min: 1}
"""


@pytest.mark.parametrize("text", [f"{CANARY}---\n{TEMPLATE}", f"{TEMPLATE}---\n{CANARY}"])
def test_a_template_in_the_same_file_is_known_wherever_it_stands(text: str) -> None:
    (canary,) = load_canaries(text)
    assert canary.spec.analysis.metrics == (QueryMetric(name="queue", query="max(queue)", min=1, max=5),)


def test_a_template_of_another_namespace_is_not_known() -> None:
    with pytest.raises(SpecError) as caught:
        load_canaries(f"{CANARY}---\n{TEMPLATE.replace('shop', 'other')}")
    (problem,) = caught.value.errors
    assert (problem.line, problem.column) == (11, 24)
    assert problem.message == 'no MetricTemplate "queue" in this namespace; there is none'


def test_a_template_from_another_file_is_known() -> None:
    (canary,) = load_canaries(CANARY, templates_in(TEMPLATE))
    assert canary.spec.analysis.metrics[0].name == "queue"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("min: 1", "mni: 1", "4:27: spec.mni: unknown field; did you mean min?"),
        ("min: 1", "min: x", "4:27: spec.min: found 'x'; a number is needed"),
        ("name: queue,", "name: Queue,", "3:12: metadata.name: found 'Queue'"),
        ("v1alpha1", "v1", "1:1: apiVersion: found 'crossfade.dev/v1'"),
        ("min: 1", "min: !!binary aGk=", "4:27: spec.min: found"),
        (
            "spec: {query: max(queue), min: 1}",
            "spec: 5",
            "4:1: spec: found 5; exactly one of ratio, histogram and",
        ),
        ("metadata: {name: queue, namespace: shop}\n", "", "1:1: metadata: required"),
    ],
)
def test_a_mistake_in_a_template_has_line_and_column(old: str, new: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_canaries(TEMPLATE.replace(old, new))
    (problem,) = caught.value.errors
    assert str(problem).startswith(said)


def test_a_mistake_in_a_preset_has_line_and_column() -> None:
    with pytest.raises(SpecError) as caught:
        load_canaries(CANARY.replace("templateRef: {name: queue}, max: 5", "preset: http-errors, max: 5"))
    (problem,) = caught.value.errors
    assert str(problem) == "11:31: spec.analysis.metrics[0].max: found 5; write 5% or 0.05"
