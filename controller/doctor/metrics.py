"""Whether Prometheus can tell how the versions do, often enough, and what would make it."""

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping

from analysis.diagnosis import suspicions
from analysis.queries import MARK, Query, Subject, origin, queries_for
from analysis.samples import Answer, Failure
from analysis.survey import Survey
from config.canary import CanarySpec
from config.metrics import Analysis, HistogramMetric, Metric, QueryMetric, RatioMetric
from config.quantities import format_duration
from controller.doctor.case import Case, Fault
from controller.doctor.finding import Finding, Fix, Severity


_MOST = 50
"""Series that are looked at for a better label."""


def check_metrics(case: Case) -> Iterator[Finding]:
    """Judge what the survey of stable found; it is the very one that a rollout begins with."""
    if case.measured.survey is None:
        words = f"spec.analysis.metrics were not asked for: {case.measured.unasked}"
        yield Finding("metrics", Severity.NOTE, case.name, words)
        return
    survey = case.measured.survey
    if survey.unanswered:
        words = f"{survey.unanswered}; nothing can be judged until it answers"
        yield Finding("prometheus", Severity.PROBLEM, case.name, words)
        return
    yield Finding("prometheus", Severity.OK, case.name, "Prometheus answers")
    for fault in case.measured.faults:
        yield _unmeasured(case, fault)
    if survey.problem and not case.measured.faults:
        yield Finding("metrics", Severity.PROBLEM, case.name, survey.problem)
    if survey.problem:
        return
    serving = case.serving.version if case.serving else ""
    names = ", ".join(metric.name for metric in case.spec.analysis.metrics)
    yield Finding("metrics", Severity.OK, case.name, f"{names} can be measured of {serving}")
    yield from _pace(case, survey)


def _unmeasured(case: Case, fault: Fault) -> Finding:
    fix = _asking_otherwise(case, fault) if fault.instead else None
    pairs = "; ".join(f"{condition} in place of {label}" for label, condition in fault.instead.items())
    effect = f"the metric asks by {pairs}" if fix is not None else ""
    return Finding("metrics", Severity.PROBLEM, case.name, fault.problem, fix, effect)


def _pace(case: Case, survey: Survey) -> Iterator[Finding]:
    scrape, interval = survey.memory.weighed.scrape, case.spec.analysis.interval
    if scrape is None:
        return
    every = format_duration(dt.timedelta(seconds=scrape))
    words = f"spec.analysis.interval is {format_duration(interval)}, and stable is scraped every {every}"
    if interval.total_seconds() < scrape:
        right = format_duration(dt.timedelta(seconds=math.ceil(scrape)))
        words = f"{words}: evaluations find nothing new; it should be {right} at least"
        fix = case.change({"spec": {"analysis": {"interval": right}}})
        yield Finding("scrape-interval", Severity.WARNING, case.name, words, fix)
    else:
        yield Finding("scrape-interval", Severity.OK, case.name, words)


def alone(spec: CanarySpec) -> Iterator[Analysis]:
    """Give the analysis with each of its metrics alone, in order: a survey stops at the first that fails."""
    for metric in spec.analysis.metrics:
        yield spec.analysis.model_copy(update={"metrics": (metric,)})


def placed(problem: str, number: int) -> str:
    """Name the place that a metric surveyed alone has in the spec."""
    return problem.replace("spec.analysis.metrics[0]", f"spec.analysis.metrics[{number}]", 1)


def doubtful(analysis: Analysis, subject: Subject, problem: str) -> tuple[Query, ...]:
    """Give queries for the series that a metric would find without one of its conditions, for a few each.

    Args:
        analysis: With this metric alone.
        subject: As the survey was asked.
        problem: The survey's; there are no queries unless stable's series are what is missing.

    """
    if "stable cannot be measured" not in problem:
        return ()
    found = {
        f"topk({_MOST}, {suspicion.selector.without(suspicion.condition)})": suspicion.condition
        for query in queries_for(analysis, subject)
        if origin(query.id).role == "stable"
        for suspicion in suspicions(query)
    }
    return tuple(Query(f"{condition.label}#{at}", text) for at, (text, condition) in enumerate(found.items()))


def better_labels(subject: Subject, answers: Mapping[str, Answer]) -> dict[str, str]:
    """Find labels that tell versions apart: label that does not -> the condition that does.

    A label that holds the version on other series is taken for the right one; so is one
    that begins with the Deployment's name, as the names of its pods do.
    """
    stable = subject.stable
    if stable is None:
        return {}
    found: dict[str, str] = {}
    for query_id, answer in answers.items():
        wrong = query_id.partition("#")[0]
        if isinstance(answer, Failure) or wrong in found:
            continue
        labels = [(name, value) for sample in answer for name, value in sorted(sample.labels.items())]
        named = (name for name, value in labels if value == stable.version and name not in {wrong, MARK})
        pods = re.compile(rf"{re.escape(stable.deployment)}-[a-z0-9]+-[a-z0-9]+")
        if name := next(named, None):
            found[wrong] = f'{name}="{{{{ version }}}}"'
        elif name := next((name for name, value in labels if pods.fullmatch(value)), None):
            found[wrong] = f'{name}=~"{{{{ deployment }}}}-[a-z0-9]+-[a-z0-9]+"'
    return found


def _asking_otherwise(case: Case, fault: Fault) -> Fix | None:
    """Write the metric with other conditions; None if it asks by no condition that is known to be better."""
    number, metric = fault.number, case.spec.analysis.metrics[fault.number]
    before = _expressions(metric)
    after = {field: _otherwise(text, fault.instead) for field, text in before.items()}
    if after == before:
        return None
    stored = case.written("analysis", "metrics")
    kept = {key: value for key, value in stored[number].items() if key not in {"preset", "templateRef"}}
    changed = {**kept, "name": metric.name, **_nested(metric, after)}
    operation = {"op": "replace", "path": f"/spec/analysis/metrics/{number}", "value": changed}
    guard = {"op": "test", "path": f"/spec/analysis/metrics/{number}", "value": stored[number]}
    whole = [*stored[:number], changed, *stored[number + 1 :]]
    return case.change({"spec": {"analysis": {"metrics": whole}}}, [guard, operation])


def _otherwise(expression: str, instead: Mapping[str, str]) -> str:
    for label, condition in instead.items():
        asked = rf"""\b{re.escape(label)}\s*=~?\s*(["'`])\{{\{{\s*(?:version|deployment)\s*\}}\}}\1"""
        expression = re.sub(asked, condition.replace("\\", r"\\"), expression)
    return expression


def _expressions(metric: Metric) -> dict[str, str]:
    match metric:
        case RatioMetric(ratio=ratio):
            return {"bad": ratio.bad, "total": ratio.total}
        case HistogramMetric(histogram=histogram):
            return {"buckets": histogram.buckets}
        case QueryMetric(query=query):
            return {"query": query}


def _nested(metric: Metric, expressions: Mapping[str, str]) -> dict[str, object]:
    match metric:
        case RatioMetric():
            return {"ratio": dict(expressions)}
        case HistogramMetric():
            return {"histogram": dict(expressions)}
        case QueryMetric():
            return dict(expressions)
