"""The command on a real Prometheus with six hours of a past, and on what goes wrong."""

import datetime as dt
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from analysis.backtest import Backtest, Release, Task
from analysis.itself import FalseRollback, Itself
from analysis.queries import Subject
from canaries import MINIMAL
from command_line import Result
from controller.cli.findings import as_text
from controller.cli.program import run
from metrics import NOW, analysis
from remembered import START, Period, serving, write


METRICS = [
    {
        "name": "errors",
        "ratio": {
            "bad": 'requests_total{code="500",version="{{ version }}"}',
            "total": 'requests_total{version="{{ version }}"}',
        },
        "max": "2%",
    }
]
UNTIL = ("--since", "6h", "--until", "2026-03-01T06:00")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("past")
    periods = [
        Period("v1", 2, 0, 6, rate=1),
        Period("v2", 1, 2, 2.5, rate=0.5),
        Period("v3", 1, 4, 4.5, rate=0.5, errors=0.1),
    ]
    write(folder, periods, scrape=30)
    with serving(folder) as url:
        yield url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "canary.yaml"
    file.write_text(canary())
    return file


def canary(name: str = "echo", metrics: object = None) -> str:
    document = {
        **MINIMAL,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {**MINIMAL["spec"], "analysis": {"interval": "30s", "metrics": metrics or METRICS}},
    }
    return yaml.safe_dump(document)


@pytest.fixture
def backtest(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    def crossfade(*arguments: str) -> Result:
        code = run(["backtest", *arguments])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return crossfade


def test_words_come_first_then_releases_then_stable_against_itself(
    backtest: Callable[..., Result], file: Path, url: str
) -> None:
    told = backtest("-f", str(file), "--prometheus", url, *UNTIL)
    assert (told.code, told.err) == (0, "")
    words, releases, itself = told.out.strip().split("\n\n")
    first, second, last = words.splitlines()
    assert first == "shop/echo: of 2 releases in 6h it would have rolled back 1"
    found = r"  v3 on 2026-03-01 04:0\d, \S+ after its first request: errors: .*% bad .*, odds .*:1"
    assert re.fullmatch(found, second)
    assert last == "Times are in UTC. Which of them were really bad is for you to compare."
    header, good, bad = releases.splitlines()
    assert header.split()[:2] == ["RELEASE", "AFTER"]
    assert re.fullmatch(r"v2 +v1 +2026-03-01 02:0\d +30m +\d+ +passed +errors, odds under 1:1", good)
    assert re.fullmatch(r"v3 +v1 +2026-03-01 04:0\d +30m +\d+ +rolled back +\S+ +errors, odds [\d,]+:1", bad)
    assert re.search(r"two halves: 0 of \d\d+ pretended rollouts of \S+ rolled back", itself)
    assert re.search(r"false rollbacks 0%, 95% sure that 0% to [\d.]+%; falseRollbackRate is 1%", itself)


def test_the_same_is_there_as_data(backtest: Callable[..., Result], file: Path, url: str) -> None:
    told = backtest("-f", str(file), "--prometheus", url, *UNTIL, "-o", "json")
    found = json.loads(told.out)
    assert (found["canary"], found["versions"]) == ("shop/echo", ["v1", "v2", "v3"])
    assert [each["verdict"] for each in found["releases"]] == ["passed", "rolled back"]
    assert found["releases"][1]["metric"] == "errors"
    assert found["releases"][1]["rolledBack"].startswith("2026-03-01T04:0")
    assert found["stableAgainstItself"]["rolledBack"] == []
    low, high = found["stableAgainstItself"]["interval95"]
    assert low == 0.0 < high < 0.1
    assert found["stableAgainstItself"]["windowSeconds"] == 30.0


def test_prometheus_may_be_named_by_the_environment(
    backtest: Callable[..., Result], file: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = backtest("-f", str(file))
    assert (without.code, without.out) == (1, "")
    assert "say --prometheus, or set CROSSFADE_PROMETHEUS_URL" in without.err
    monkeypatch.setenv("CROSSFADE_PROMETHEUS_URL", url)
    assert backtest("-f", str(file), *UNTIL, "--step", "5m").code == 0


def test_one_canary_of_several_is_chosen_by_name(
    backtest: Callable[..., Result], file: Path, url: str
) -> None:
    file.write_text(f"{canary()}---\n{canary('other')}")
    which = backtest("-f", str(file), "--prometheus", url)
    assert which.err == f"error: {file}: say --name; there are: echo, other\n"
    missing = backtest("-f", str(file), "--prometheus", url, "--name", "third")
    assert missing.err == f"error: {file}: no such Canary; there are: echo, other\n"
    chosen = ("--name", "other", "-n", "store", "--step", "5m")
    assert backtest("-f", str(file), "--prometheus", url, *UNTIL, *chosen).out.startswith("store/other: ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("--since", "0s"), "--since: found 0s; at least 1s is needed"),
        (("--since", "soon"), "--since: found 'soon'"),
        (("--step", "10ms"), "--step: found 10ms; at least 1s is needed"),
        (("--until", "yesterday"), "--until: found 'yesterday'; a time looks like 2026-05-02T14:00"),
        (("--prometheus", "prometheus:9090"), "CROSSFADE_PROMETHEUS_URL"),
        (("--prometheus", "http://127.0.0.1:1"), "http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_bad_input_is_named(
    backtest: Callable[..., Result], file: Path, arguments: tuple[str, ...], error: str
) -> None:
    told = backtest("-f", str(file), "--prometheus", "http://127.0.0.1:1", *arguments)
    assert (told.code, told.out) == (1, "")
    assert error in told.err


def test_a_past_without_series_is_named(backtest: Callable[..., Result], file: Path, url: str) -> None:
    told = backtest(
        "-f", str(file), "--prometheus", url, "--since", "1d", "--until", "2026-01-01T00:00+01:00"
    )
    assert told.err == 'error: Prometheus knows no series in that time: requests_total{version!=""}\n'


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (None, "No such file or directory"),
        (b"\xff", "not UTF-8 text"),
        (b"kind: Deployment", "no Canary in "),
        (canary(metrics=[{"name": "x"}]).encode(), "a metric has exactly one of"),
    ],
)
def test_files_that_hold_no_canary_are_named(
    backtest: Callable[..., Result], file: Path, content: bytes | None, error: str
) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    told = backtest("-f", str(file), "--prometheus", "http://127.0.0.1:1")
    assert told.code == 1
    assert error in told.err


def report(itself: Itself, *releases: Release) -> str:
    subject = Subject("echo", "shop", "echo", None, None, dt.timedelta(minutes=5))
    task = Task(analysis(), dt.timedelta(minutes=5), subject, START, START + dt.timedelta(days=14))
    return as_text("shop/echo", Backtest(task, ("v1",), releases, itself))


def seen(**fields: Any) -> Release:
    given = {"first_request": NOW, "requests": 50, "windows": 10, "metric": "errors", "odds": 2.0, **fields}
    return Release("v2", "v1", NOW, NOW + dt.timedelta(hours=1), **given)


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (seen(), "passed"),
        (seen(blind=6), "mostly blind"),
        (seen(requests=0), "not measured"),
        (seen(problem="nobody called it"), "not judged"),
        (seen(blind=6, rolled_back=NOW + dt.timedelta(minutes=4)), "rolled back"),
    ],
)
def test_every_release_has_its_word(given: Release, verdict: str) -> None:
    row = report(Itself(), given).split("\n\n")[1].splitlines()[1]
    assert f"   {verdict}   " in f"{row}   "


def test_why_a_release_was_not_judged_is_said() -> None:
    assert "v2: nobody called it" in report(Itself(), seen(problem="nobody called it"))


def test_stable_against_itself_says_what_it_rests_on() -> None:
    few = "not tried; it takes 60 windows with at least two pods, and a rollout's after them"
    assert report(Itself(windows=7)).endswith(few)
    assert report(Itself(undivided=70)).endswith(f"{few}\n  in 70 windows there were not two pods")
    rollbacks = tuple(FalseRollback("v1", NOW, f"errors: number {number}") for number in range(7))
    many = report(Itself(20, rollbacks, windows=200, leaning=50, blind=1, undivided=3))
    assert "7 of 20 pretended rollouts" in many
    assert "More than allowed" in many
    assert "200 windows" in many
    assert "25% leaned towards harm, 0.5% could not be measured" in many
    assert "3 more were left out" in many
    assert "number 4" in many
    assert "number 5" not in many
    assert "and 2 more" in many


def test_a_time_without_a_release_says_so() -> None:
    assert report(Itself()).startswith("shop/echo: no release in 14d; v1 served all the time")
