"""Alerts fire when they should, are silent when they should, and lead to a page that says what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cached import Cached
from controller.ports import Free
from controller.telemetry.line import LineCollector
from controller.telemetry.metrics import Metrics
from sandbox import prometheus


ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "helm" / "crossfade" / "alerts" / "crossfade.yaml"
CASES = sorted(Path(__file__).parent.glob("alerts*.yaml"))


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = prometheus.find(prometheus.cache_folder()).with_name("promtool")
    return subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)


def held_to_the_cases(folder: Path, alerts: str) -> subprocess.CompletedProcess[str]:
    (folder / "crossfade.yaml").write_text(alerts)
    for cases in CASES:
        shutil.copy(cases, folder)
    return promtool(folder, "test", "rules", *(cases.name for cases in CASES))


def test_alerts_do_as_the_cases_say(tmp_path: Path) -> None:
    result = held_to_the_cases(tmp_path, ALERTS.read_text())
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_alert_has_cases_where_it_fires_and_where_it_does_not() -> None:
    tests = [test for cases in CASES for test in yaml.safe_load(cases.read_text())["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    for fires in (True, False):
        tried = {case["alertname"] for case in cases if bool(case["exp_alerts"]) is fires}
        assert tried == {rule["alert"] for rule in rules()}


MISTAKES = {
    "a promotion alarms": ('{outcome="RolledBack"}', ""),
    "a rollback is told for ever": ("< 900", "> 0"),
    "everybody waits for a human": (
        "(crossfade_canary_needs_human) == 1",
        "(crossfade_canary_needs_human) >= 0",
    ),
    "a moment of waiting alarms": (
        'reason="Stopped"})\n        for: 5m',
        'reason="Stopped"})\n        for: 0m',
    ),
    "everybody who was stopped alarms": ('{reason="Stopped"}', '{reason="None"}'),
    "a night is too long": ('{reason="OutsideSchedule"}', '{reason="None"}'),
    "a short stop alarms": ("for: 4h", "for: 1h"),
    "every hold is blindness": ('held{reason="Blind"}', "held"),
    "a blink alarms": ('reason="Blind"}) == 1\n        for: 5m', 'reason="Blind"}) == 1\n        for: 1m'),
    "what waits for a human is stuck": ("needs_human) == 0", "needs_human) >= 0"),
    "a minute is an hour": ("> 3600", "> 60"),
    "an evaluation may be late for ever": ("seconds) > 300", "seconds) > 30000"),
    "an evaluation that is due is late": ("seconds) > 300", "seconds) > 0"),
    "nobody is missed": ("absent(crossfade_build_info)", "crossfade_build_info == 0"),
    "a replica that stands by alarms": ("max by (namespace, job) (crossfade_l", "min(crossfade_l"),
    "another release has a leader": ("max by (namespace, job) (crossfade_l", "max(crossfade_l"),
    "a late tick is in time": ("[5m]))) > 5", "[5m]))) > 8"),
    "half of the ticks may be late": ("histogram_quantile(0.99", "histogram_quantile(0.5"),
    "each replica alarms": ("max by (namespace, name) (crossfade_canary_ended", "(crossfade_canary_ended"),
    "ticks that end well alarm": ('{outcome!="done"}', ""),
    "a few failures alarm": ("[10m])) > 5", "[10m])) > 0"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_cases_find_mistakes(mistake: str, tmp_path: Path) -> None:
    before, after = MISTAKES[mistake]
    text = ALERTS.read_text()
    assert text.count(before) == 1, f"{before!r} is no longer the one place to break"
    result = held_to_the_cases(tmp_path, text.replace(before, after))
    assert result.returncode == 1
    assert "FAILED" in result.stdout + result.stderr, "it is no rule any more"


def test_every_alert_has_a_page_that_carries_its_name() -> None:
    pages = {rule["annotations"]["runbook"]: rule["alert"] for rule in rules()}
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "runbooks").glob("*.md")} == set(
        pages
    )
    for page, alert in pages.items():
        text = (ROOT / page).read_text()
        assert text.startswith(f"# Alert {alert}\n")
        assert "## What you see" in text
        assert "## What to do" in text


def test_the_operating_guide_lists_all_alerts() -> None:
    guide = (ROOT / "docs" / "operating.md").read_text()
    for rule in rules():
        page = rule["annotations"]["runbook"].removeprefix("docs/")
        assert f"| [{rule['alert']}]({page}) | {rule['labels']['severity']} |" in guide


def test_alerts_and_pages_speak_of_metrics_that_there_are() -> None:
    metrics = Metrics()
    metrics.follow(Cached())
    metrics.registry.register(LineCollector(Free()))
    text = metrics.text().decode()
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)) | set(
        re.findall(r"^crossfade_\w+", text, re.MULTILINE)
    )
    documents = [ALERTS, *(ROOT / "docs" / "runbooks").glob("*.md")]
    named = {name for path in documents for name in re.findall(r"\bcrossfade_\w+", path.read_text())}
    assert named <= known
