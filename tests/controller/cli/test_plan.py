import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from canaries import MINIMAL
from command_line import Result
from controller.cli.forecasts import percent
from controller.cli.program import run
from metrics import errors, latency


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


ERRORS, LATENCY = errors(), latency()
SVG = "{http://www.w3.org/2000/svg}"


class Plans:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file = folder / "canary.yaml"
        self.folder = folder
        self._capsys = capsys
        self.write()

    def write(self, *metrics: dict[str, Any], **fields: Any) -> None:
        shifting = {"steps": [10, 50], "interval": "20s"}
        analysis = {"metrics": list(metrics or (ERRORS, LATENCY)), **fields.pop("analysis", {})}
        spec = {**MINIMAL["spec"], "shifting": shifting, "analysis": analysis, **fields}
        self.file.write_text(yaml.safe_dump({**MINIMAL, "spec": spec}))

    def __call__(self, *options: str) -> Result:
        code = run(["plan", "-f", str(self.file), "--runs", "10", *options])
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)

    def document(self, *options: str) -> Any:
        result = self(*options, "-o", "json")
        assert result.code == 0, result.err
        return json.loads(result.out)


@pytest.fixture
def plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Plans:
    return Plans(tmp_path, capsys)


def test_it_is_said_in_words_as_a_table_and_as_bars(plan: Plans) -> None:
    result = plan("--rps", "200", "--scrape", "5s")
    assert result.code == 0, result.err
    assert result.out.startswith(
        "echo/echo: 200 requests/s, 0.1% fail anyway, half of the requests within 60ms"
    )
    assert re.search(
        r"^A good release takes \S+, 9 in 10 at most \S+ \(all soaks together: 60s\)\.$",
        result.out,
        re.MULTILINE,
    )
    assert "Rolled back by mistake: none of 10, so the chance is below 26% (95% sure)" in result.out
    rows = {line.split("   ")[0]: line for line in result.out.splitlines()}
    assert re.search(r"100% +\d+s +\d+s +\d+ +\d+ +\d+ +\d+$", rows["5% errors"])
    assert "all requests 2x slower" in rows
    bars = [line for line in result.out.splitlines() if line.endswith("|")]
    assert len(bars) == 6
    assert any("█" in line for line in bars)
    assert re.search(r"^ +weight +10% +50% +100%$", result.out, re.MULTILINE)


def test_what_is_never_seen_in_time_is_said(plan: Plans) -> None:
    plan.write(ERRORS)
    result = plan("--rps", "20", "--scrape", "5s")
    assert "Promoted more often than not, because there is no time to see it: 0.2% errors" in result.out
    missed = [
        each
        for each in plan.document("--rps", "20", "--scrape", "5s")["regressions"]
        if not each["seenInTime"]
    ]
    assert "0.2% errors" in {each["candidate"] for each in missed}
    assert all(each["rolledBack"] < 0.5 for each in missed)


def test_the_same_seed_gives_the_same_words(plan: Plans) -> None:
    plan.write(ERRORS)
    assert plan("--rps", "100") == plan("--rps", "100")
    assert plan.document("--rps", "100") != plan.document("--rps", "100", "--seed", "2")


def test_data_are_for_programs(plan: Plans) -> None:
    found = plan.document("--rps", "200", "--scrape", "5s", "--base-error", "0.2%", "--burst", "2")
    assert found["canary"] == "echo/echo"
    assert found["runs"] == 10
    assert found["traffic"] == {
        "rps": 200.0,
        "baseError": 0.002,
        "burst": 2.0,
        "scrapeInterval": 5.0,
        "latency": {"median": 0.06, "p99": 0.3},
    }
    good = found["good"]
    assert good["falseRollbacks"] == 0
    assert good["promoted"] == 1
    assert good["seconds"]["median"] >= 60
    names = [each["candidate"] for each in found["regressions"]]
    assert names == [
        "0.5% errors",
        "1% errors",
        "5% errors",
        "all requests 2x slower",
        "5% of requests 10x slower",
    ]
    worst = found["regressions"][2]
    assert worst["rolledBack"] == 1
    assert 0 < worst["usersHarmed"]["median"] <= worst["usersHarmed"]["p90"] < worst["requests"]["p90"]


def test_slowdowns_may_be_chosen(plan: Plans) -> None:
    found = plan.document("--rps", "100", "--slowdown", "3x", "--slowdown", "10%:5")
    names = [each["candidate"] for each in found["regressions"]]
    assert names[-2:] == ["all requests 3x slower", "10% of requests 5x slower"]


def test_a_picture_has_axes_labels_and_a_line_for_each_candidate(plan: Plans) -> None:
    file = plan.folder / "plan.svg"
    assert plan("--rps", "200", "--svg", str(file)).code == 0
    drawing = ET.fromstring(file.read_text())  # noqa: S314  # our own
    words = [text.text or "" for text in drawing.iter(f"{SVG}text")]
    assert {
        "0%",
        "50%",
        "100%",
        "0s",
        "releases rolled back by then",
        "since the new version was found",
    } <= set(words)
    assert sum(re.match(r".*(errors|slower): \S+%$", text) is not None for text in words) == 6
    lines = [path for path in drawing.iter(f"{SVG}path") if path.get("stroke-width") == "2"]
    assert len(lines) == 6
    width, height = (float(size) for size in drawing.get("viewBox", "").split()[2:])
    for text in drawing.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", -1)) <= width
        assert 0 <= float(text.get("y", -1)) <= height
    labels = [float(text.get("y", 0)) for text in drawing.iter(f"{SVG}text") if float(text.get("x", 0)) > 650]
    assert all(abs(one - other) >= 15 for at, one in enumerate(labels) for other in labels[:at])


def test_free_queries_and_reports_are_taken_to_pass_and_said(plan: Plans) -> None:
    query = {"name": "memory", "query": 'max(memory{version="{{ version }}"})', "max": 1}
    plan.write({**LATENCY, "dryRun": True}, query)
    result = plan("--rps", "200")
    assert result.code == 0
    assert "CANDIDATE" not in result.out
    assert "note: memory: what a free query answers cannot be simulated" in result.out
    assert "note: no ratio metric acts: failing requests are not seen at all" in result.out
    assert "note: latency: only reports" in result.out


def test_a_good_release_that_never_ends_is_said(plan: Plans) -> None:
    plan.write(ERRORS, testing=None, shifting={"steps": [1], "interval": "1s", "timeout": "2m"})
    result = plan("--rps", "2")
    assert re.search(r"A good release is not through after \S+: .* of 100 requests at this step", result.out)
    assert "100% of them were held for a human at some time; 10 never went on." in result.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "say --rps, or --prometheus to read it from there"),
        (("--rps", "0"), "--rps: found 0; more than 0 is needed"),
        (("--rps", "-3"), "--rps: found -3; more than 0 is needed"),
        (("--rps", "nan"), "--rps: found nan; more than 0 is needed"),
        (("--rps", "5", "--base-error", "-1%"), "a share looks like 1% or 0.01"),
        (("--rps", "5", "--base-error", "2"), "write 2% or 0.02"),
        (("--rps", "5", "--base-error", "1%"), "errors may be <= 1%, <= 1.5 x stable, but 1% of stable's"),
        (("--rps", "5", "--burst", "0.5"), "--burst: found 0.5; 1 to 1000"),
        (("--rps", "5", "--slowdown", "0.5x"), "--slowdown: found '0.5x'; like 2x, or 5%:10x"),
        (("--rps", "5", "--slowdown", "fast"), "--slowdown: found 'fast'"),
        (("--rps", "5", "--scrape", "0s"), "--scrape: found 0; more than 0 is needed"),
        (("--rps", "5", "--scrape", "5"), "--scrape: found '5'; a duration looks like 30s"),
        (("--prometheus", "http://127.0.0.1:9", "--since", "0s"), "--since: found 0; more than 0 is needed"),
        (("--rps", "5", "--testers-rps", "-1"), "--testers-rps: found -1"),
        (("--rps", "5", "--base-latency-median", "2s"), "take longer than 0.5s already"),
        (("--rps", "5", "--base-latency-p99", "10ms"), "more than the median of 0.06s"),
        (("--rps", "5", "--runs", "1"), "runs"),
        (("--rps", "5", "--svg", "/nowhere/plan.svg"), "/nowhere/plan.svg: no such folder"),
        (("--prometheus", "prometheus:9090"), "an address looks like http://prometheus.monitoring:9090"),
        (
            ("--prometheus", "http://127.0.0.1:9"),
            "Prometheus did not answer: http://127.0.0.1:9 cannot be reached",
        ),
        (("--prometheus", "http://127.0.0.1:9", "--version", "v1"), "Prometheus did not answer"),
    ],
)
def test_what_cannot_be_planned_is_said(plan: Plans, options: tuple[str, ...], words: str) -> None:
    plan.write(ERRORS, {**LATENCY, "dryRun": False})
    result = plan(*options)
    assert result.code == 1
    assert result.out == ""
    assert words in result.err


def test_no_failures_at_all_are_fine(plan: Plans) -> None:
    plan.write(ERRORS)
    assert plan.document("--rps", "100", "--base-error", "0%")["traffic"]["baseError"] == 0


def test_one_valid_canary_is_needed(plan: Plans) -> None:
    plan.file.write_text("kind: Pod\n")
    assert "no Canary in " in plan("--rps", "5").err
    plan.write(shifting={"steps": [101]})
    assert "spec.shifting.steps[0]: found 101" in plan("--rps", "5").err
    plan.file.write_bytes(b"\xff")
    assert "not UTF-8 text" in plan("--rps", "5").err
    plan.file.unlink()
    assert "No such file" in plan("--rps", "5").err


def test_a_picture_that_cannot_be_written_is_said(plan: Plans) -> None:
    plan.write(ERRORS)
    result = plan("--rps", "100", "--svg", str(plan.folder))
    assert (result.code, result.err) == (1, f"error: {plan.folder}: Is a directory\n")


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "0%"), (0.005, "<1%"), (0.5, "50%"), (0.997, ">99%"), (1.0, "100%")]
)
def test_a_share_that_is_not_all_or_nothing_is_not_written_so(share: float, words: str) -> None:
    assert percent(share) == words
