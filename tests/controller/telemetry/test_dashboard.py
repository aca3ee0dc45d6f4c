"""Every query of the dashboard finds something in a real Prometheus that holds what the controller tells.

The past of a controller is written from its own exposition: the queries are tried
on the names and labels that there are, not on those that somebody remembers.
"""

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from cached import Cached
from config.status import (
    Held,
    HeldReason,
    HistoryEntry,
    MetricStatus,
    Outcome,
    Phase,
    Revision,
    Status,
    Verdict,
    dump_status,
)
from controller.ports import Free
from controller.telemetry.causes import Cause
from controller.telemetry.line import LineCollector
from controller.telemetry.metrics import Metrics
from remembered import serving, store


DASHBOARD = Path(__file__).parents[3] / "helm" / "crossfade" / "dashboards" / "crossfade.json"
BEGIN = dt.datetime(2026, 8, 1, 12, tzinfo=dt.UTC)
SCRAPES = 40
SCRAPE = 15
END = BEGIN + dt.timedelta(seconds=SCRAPE * (SCRAPES - 1))
V1, V2 = Revision("v1", "1a", "web-v1"), Revision("v2", "2b", "web-v2")
CHOSEN = {"$__rate_interval": "1m", "$__range": "10m", "$namespace": "shop", "$canary": "web|api"}
"""What Grafana puts into a query."""

DOCUMENT: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = [panel for panel in DOCUMENT["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]


def controller(metrics: Metrics) -> None:
    """Let fifteen seconds of a controller with two Canaries pass."""
    for outcome in ("done", "failed", "crashed"):
        metrics.tick(outcome, 0.02, 0.3)
    metrics.kubernetes_request("put", "canaries.crossfade.dev", 200)
    metrics.prometheus_request("answered")
    metrics.asked(6, 1, 0.05)
    metrics.evaluated(Verdict.UNDECIDED)
    metrics.held(HeldReason.TOO_FEW_REQUESTS)
    metrics.ended(Outcome.ROLLED_BACK, 400, Cause.HARMFUL)
    metrics.detected(12)


def statuses() -> dict[str, dict[str, Any]]:
    shifting = Status(
        phase=Phase.SHIFTING,
        stable=V1,
        candidate=V2,
        weight=25,
        weight_seen=25,
        verdict=Verdict.BLIND,
        held=Held(HeldReason.BLIND, "no data", BEGIN, needs_human=True),
        requests=100,
        bad=2,
        metrics=(MetricStatus("errors", value=0.02, stable_value=0.01, odds=3.0),),
    )
    entry = HistoryEntry(V2, Outcome.ROLLED_BACK, "harmful: errors", "crossfade", BEGIN, BEGIN, 25)
    back = Status(phase=Phase.ROLLED_BACK, stable=V1, candidate=V2, history=(entry,))
    return {"web": dump_status(shifting), "api": dump_status(back)}


def exposed(metrics: Metrics) -> Iterator[tuple[str, str]]:
    """Give each series as Prometheus would store it, and its value."""
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            labels = {**sample.labels, "job": "crossfade", "instance": "10.0.0.1:8080"}
            written = ",".join(f'{name}="{value}"' for name, value in labels.items())
            yield f"{sample.name}{{{written}}}", str(sample.value)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Prometheus that has scraped a controller for ten minutes."""
    folder = tmp_path_factory.mktemp("dashboard")
    metrics = Metrics()
    metrics.follow(Cached(**statuses()))
    metrics.registry.register(LineCollector(Free()))
    past: dict[str, list[str]] = defaultdict(list)
    for number in range(SCRAPES):
        at = BEGIN.timestamp() + number * SCRAPE
        for series, value in exposed(metrics):
            past[series].append(f"{series} {value} {at:.0f}")
        controller(metrics)
    store(folder, [line for lines in past.values() for line in lines])
    with serving(folder) as url:
        yield url


def found(url: str, query: str) -> list[dict[str, Any]]:
    for name, value in CHOSEN.items():
        query = query.replace(name, value)
    assert "$" not in query
    asked = {"query": query, "time": str(END.timestamp())}
    answer = requests.get(f"{url}/api/v1/query", asked, timeout=20).json()
    assert answer["status"] == "success", f"{query}: {answer.get('error')}"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def test_every_query_finds_numbers(url: str) -> None:
    for title, query in QUERIES:
        values = [sample["value"][1] for sample in found(url, query)]
        assert values, f"{title}: {query} finds nothing"
        assert "NaN" not in values, f"{title}: {query}"


def test_every_legend_has_its_labels(url: str) -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            labels = set(target["legendFormat"].replace("}}", "{{").split("{{")[1::2])
            for sample in found(url, target["expr"]):
                assert labels <= set(sample["metric"]), f"{panel['title']}: {target['legendFormat']}"


@pytest.mark.parametrize(
    ("title", "number"),
    [("Under way", 1), ("Wait for a human", 1), ("Blind", 1), ("Rolled back in 24 hours", 1), ("Leader", 1)],
)
def test_the_numbers_at_the_top_are_right(url: str, title: str, number: float) -> None:
    (query,) = (query for name, query in QUERIES if name == title)
    (sample,) = found(url, query)
    assert float(sample["value"][1]) == number


@pytest.mark.parametrize("title", ["Under way", "Wait for a human", "Blind", "Rolled back in 24 hours"])
def test_nothing_is_a_zero_at_the_top(url: str, title: str) -> None:
    (query,) = (query for name, query in QUERIES if name == title)
    (sample,) = found(url, query.replace("$canary", "nobody"))
    assert float(sample["value"][1]) == 0


def test_variables_take_their_values_from_series_that_there_are(url: str) -> None:
    for variable in DOCUMENT["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = (
                variable["query"]["query"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
            )
            assert all(sample["metric"][label] for sample in found(url, selector))


def test_every_counter_and_every_state_of_a_canary_is_shown() -> None:
    metrics = Metrics()
    metrics.follow(Cached(**statuses()))
    metrics.registry.register(LineCollector(Free()))
    names = {
        sample.name.removesuffix("_sum").removesuffix("_count").removesuffix("_bucket")
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
        if sample.name.startswith("crossfade_")
    }
    alone = {  # told by the alerts, and by the state of the set
        "crossfade_canary_held_since_timestamp_seconds",
        "crossfade_canary_verdict",
        "crossfade_settings_valid",
    }
    assert {name for name in names - alone if not any(name in query for _, query in QUERIES)} == set()


def test_panels_have_titles_words_and_a_place_of_their_own() -> None:
    panels = DOCUMENT["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    assert all(panel["description"].endswith(".") for panel in PANELS)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_the_data_source_is_chosen_by_who_looks() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert all(panel["datasource"] == chosen for panel in PANELS)
    assert all(target["datasource"] == chosen for panel in PANELS for target in panel["targets"])
    assert DOCUMENT["id"] is None, "Grafana gives it a number of its own"
