"""`crossfade explain`: words first, then the windows; the same offline; and open about what is missing."""

import datetime as dt
import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.readings import Counts, MetricReading, NoData
from analysis.window import Window
from command_line import BIN, Result, World
from config.status import Held, HeldReason, HistoryEntry, MetricStatus, Outcome, Phase, Status, Verdict
from controller.cli.program import run
from controller.kube.archive import KubeArchive
from controller.kube.canaries import canary_of
from controller.kube.resources import CANARIES, CONFIG_MAPS
from evidence_of import NOW, TEN_SECONDS, V1, V2, Told, spec
from metrics import errors, latency, saturation


MINUTE = dt.timedelta(minutes=1)
CHEAP = {"falseRollbackRate": "1%"}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


def told(*metrics: dict[str, Any], **fields: Any) -> Told:
    return Told(spec(*metrics, **CHEAP), **fields)


def keep(world: World, rollout: Told, status: Status | None = None, archived: Status | None = None) -> None:
    """Create a Canary with this status, and the ConfigMap as the controller writes it."""
    status = rollout.status() if status is None else status
    world.add("web", status, **rollout.spec)
    archive(world, rollout.status(rollout.records) if archived is None else archived)


def archive(world: World, status: Status) -> None:
    canary = canary_of(world.cluster.read(CANARIES, world.namespace, "web"))
    KubeArchive(world.cluster).save(canary, status)


def words(result: Result) -> str:
    """Give what was printed as running text."""
    return " ".join(result.out.split())


def rolled_back(rollout: Told) -> Status:
    because = rollout.said[-1].because
    end = rollout.begun + TEN_SECONDS * len(rollout.said)
    entry = HistoryEntry(V2, Outcome.ROLLED_BACK, because, "crossfade", rollout.begun, end, 10, 400, 20)
    return rollout.status((), phase=Phase.ROLLED_BACK, history=(entry,), observed_spec=None)


def test_a_rollback_is_explained(world: World) -> None:
    rollout = told(errors(), latency(), bad=0.05).go_on(2, settled=False).go_on(4)
    keep(world, rollout, rolled_back(rollout))
    result = world.crossfade("explain", "web")
    assert (result.code, result.err) == (0, "")
    shown = words(result)
    assert shown.startswith(
        f"{world.namespace}/web v2, begun 2026-03-01 12:00:00 UTC "
        "decided v2 was rolled back at 2026-03-01 12:01:00 UTC, 60s after it began, having had up to 10% "
        "because errors: "
    )
    assert "against stable odds " in shown
    assert "that more than 1.5 times as many are bad; 400:1 roll back" in shown
    assert "that more than 1% are bad; 400:1 roll back" in shown
    assert "that more than 1% take longer than 0.5s; 400:1 roll back" in shown
    assert "windows of errors (UTC)" in shown
    assert "6 kept, all judged again: every verdict comes out the same, to the last digit" in shown
    assert max(map(len, result.out.splitlines())) <= 100


def test_the_windows_are_shown_as_they_were(world: World) -> None:
    rollout = told(errors()).go_on(1, settled=False).blind().go_on(1, weight=25)
    keep(world, rollout)
    table = world.crossfade("explain", "web", "-o", "table").out.splitlines()
    assert table[0].split() == [
        "TIME",
        "WHERE",
        "REQUESTS",
        "BAD",
        "STABLE",
        "BAD",
        "ODDS",
        "VERDICT",
        "NOTE",
    ]
    first, second, third = (line.split() for line in table[1:])
    assert first[:3] == ["12:00:10", "10%", "40"]
    assert (first[4], first[-2:]) == ("360", ["Undecided", "settling"])
    assert second[:6] == ["12:00:20", "10%", "-", "-", "-", "-"]
    assert second[7:] == ["Blind", "connection", "refused"]
    assert third[1:3] == ["25%", "100"]


def test_a_rollout_under_way_says_what_it_waits_for_and_what_would_end_that(world: World) -> None:
    rollout = told(errors(), latency(), saturation(), seed=3).go_on(2)
    held = Held(HeldReason.TOO_FEW_REQUESTS, "few", NOW + MINUTE)
    status = rollout.status(reason="v2 at 10%: errors: few", held=held, step_started_at=NOW)
    keep(world, rollout, status)
    shown = words(world.crossfade("explain", "web"))
    assert "now v2 at 10%: errors: few" in shown
    assert "waits for TooFewRequests, since 2026-03-01 12:01:00 UTC" in shown
    assert "goes on with errors: 20 more requests at this step" in shown
    assert "goes on with latency: 20 more requests at this step" in shown
    assert "saturation: a value" not in shown
    assert "time: this step soaks" not in shown


def test_a_soak_ends_by_itself(world: World) -> None:
    rollout = told(errors()).go_on(6)
    keep(world, rollout, rollout.status(step_started_at=NOW))
    shown = words(world.crossfade("explain", "web"))
    assert "goes on with time: this step soaks until 2026-03-01 12:01:00 UTC" in shown


def metric(**fields: Any) -> MetricStatus:
    return MetricStatus("errors", limit="<= 1%, <= 1.5 x stable", requests=500, **fields)


@pytest.mark.parametrize(
    ("known", "written", "lacks"),
    [
        (metric(verdict=Verdict.BLIND, message="gone"), {}, "errors: an answer that can be counted"),
        (metric(odds=40.0), {}, "errors: requests that bring the odds of harm below 10:1"),
        (metric(odds=0.5), {"advance": "Evidence"}, "errors: odds of 20:1 that it is safe"),
        (metric(odds=0.5, verdict=Verdict.SAFE), {"advance": "Evidence"}, ""),
        (metric(odds=0.5), {}, ""),
        (metric(odds=40.0, dry_run=True), {}, ""),
        (metric(odds=40.0), {"dryRun": True}, ""),
    ],
)
def test_what_a_metric_lacks(world: World, known: MetricStatus, written: dict[str, Any], lacks: str) -> None:
    rollout = Told(spec(errors(), **CHEAP, **written)).go_on()
    keep(world, rollout, rollout.status(metrics=(known,)))
    shown = words(world.crossfade("explain", "web"))
    assert ("goes on with errors" in shown) == bool(lacks)
    assert lacks in shown


@pytest.mark.parametrize(("failures", "passes", "lacks"), [(1, 5, True), (0, 0, True), (0, 5, False)])
def test_what_a_query_lacks(world: World, failures: int, passes: int, lacks: bool) -> None:  # noqa: FBT001
    rollout = Told(spec(saturation(), **CHEAP)).go_on()
    known = replace(rollout.memory.metrics[0], failures=failures, passes=passes, verdict=Verdict.UNDECIDED)
    keep(world, rollout, rollout.status(metrics=(known,)))
    assert (
        "goes on with saturation: a value within its bounds" in words(world.crossfade("explain", "web"))
    ) == lacks


def test_a_split_that_is_not_as_asked_needs_other_requests(world: World) -> None:
    rollout = told(errors()).go_on(5)
    held = Held(HeldReason.SPLIT_MISMATCH, "asked for 10%", NOW, needs_human=True)
    keep(world, rollout, rollout.status(held=held))
    shown = words(world.crossfade("explain", "web"))
    assert "waits for SplitMismatch" in shown
    assert "goes on with requests that are divided as asked" in shown


def test_leaning_and_blind_spells_have_a_time(world: World) -> None:
    rollout = told(errors(), bad=0).blind().blind("timed out").go_on(2).blind().go_on(2)
    rollout.bad = 0.1
    rollout.go_on(3)
    keep(world, rollout)
    shown = words(world.crossfade("explain", "web"))
    assert "blind 2026-03-01 12:00:00 UTC to 2026-03-01 12:00:20 UTC, 2 windows: errors: timed out" in shown
    assert (
        "blind 2026-03-01 12:00:40 UTC to 2026-03-01 12:00:50 UTC, 1 window: errors: connection refused"
        in shown
    )
    since = next(
        at for at, said in enumerate(rollout.said)
        if all((each.memory.metrics[0].odds or 0) >= 10 for each in rollout.said[at:])
    )  # fmt: skip
    assert 6 < since < 10
    at = rollout.said[since].at
    assert f"since odds of 10:1 and more in every window since {at:%Y-%m-%d %H:%M:%S} UTC" in shown


def test_many_blind_spells_do_not_hide_the_rest(world: World) -> None:
    rollout = told(errors())
    for _ in range(8):
        rollout.blind().go_on()
    keep(world, rollout)
    shown = words(world.crossfade("explain", "web"))
    assert "blind 8 times; the last 5:" in shown
    assert shown.count("1 window: errors: connection refused") == 5


def test_a_dry_run_says_what_it_would_have_done(world: World) -> None:
    rollout = told(errors(dryRun=True), latency(), bad=0.1).go_on(5)
    would = "would have rolled back at 12:00 UTC: errors: 9% bad"
    keep(world, rollout, rollout.status(would_have=would))
    shown = words(world.crossfade("explain", "web"))
    assert f"dry run {would}; nothing is acted upon" in shown
    at = rollout.memory.metrics[0].would_roll_back_at
    assert at is not None
    assert f"only reported, never acted upon; would have rolled back at {at:%Y-%m-%d %H:%M:%S} UTC" in shown
    ended = replace(rolled_back(rollout).history[0], would_have=would, outcome=Outcome.PROMOTED, by="eve")
    world.report(rollout.status((), phase=Phase.PROMOTED, history=(ended,), candidate=None), "web")
    shown = words(world.crossfade("explain", "web"))
    assert "v2 was promoted at" in shown
    assert f"dry run {would}" in shown
    assert "(by eve)" in shown


def test_one_metric_can_be_asked_for(world: World) -> None:
    rollout = told(errors(), latency()).go_on(3)
    keep(world, rollout)
    result = world.crossfade("explain", "web", "--metric", "latency")
    assert "windows of latency" in result.out
    assert ">" in result.out.split("VERDICT", maxsplit=1)[0].rsplit("TIME", 1)[1]
    assert "errors " not in result.out
    result = world.crossfade("explain", "web", "--metric", "speed")
    assert (result.code, result.err) == (1, "error: no metric speed; there are: errors, latency\n")


def test_a_query_shows_its_values(world: World) -> None:
    rollout = told(saturation(), seed=2).go_on(2)
    keep(world, rollout)
    row = world.crossfade("explain", "web", "-o", "table").out.splitlines()[1].split()
    assert row[:2] == ["12:00:10", "10%"]
    assert row[3] == "0.25"


def test_bursts_are_mentioned_where_there_are_any(world: World) -> None:
    rollout = told(errors()).go_on(3)
    known = (replace(rollout.memory.metrics[0], dispersion=2.3),)
    keep(world, rollout, rollout.status(metrics=known))
    shown = words(world.crossfade("explain", "web"))
    assert "bursts stable's bad requests come 2.3 times more unevenly than by chance" in shown


def test_a_stable_that_is_hardly_known_is_not_said_to_have_bursts(world: World) -> None:
    keep(world, told(errors(), surveyed=False).go_on(3))
    shown = words(world.crossfade("explain", "web"))
    assert (
        "stable was seen in 3 windows so far, and until 20 its bad requests are taken to come "
        "6.95 times more unevenly than by chance, so that all evidence weighs 1/6.95"
    ) in shown
    assert "stable's bad requests come" not in shown


def test_without_a_limit_stables_past_stands_in_where_nothing_can_be_compared(world: World) -> None:
    unlimited = {name: given for name, given in errors().items() if name != "max"}
    rollout = Told(spec(unlimited, **CHEAP, harmBudget=1000), bad=0.02).go_on(5).go_on(2, weight=100)
    keep(world, rollout)
    shown = words(world.crossfade("explain", "web"))
    assert "that more than 1.5 times what stable used to have; 200:1 roll back" in shown
    assert "bad requests beyond stable's rate so far, harmBudget 1,000" in shown


def test_long_tables_end_with_the_newest(world: World) -> None:
    rollout = told(errors()).go_on(50, weight=1)
    keep(world, rollout)
    result = world.crossfade("explain", "web")
    assert "windows of errors (the last 20 of 50; all: -o table)" in result.out
    assert sum(line.startswith("12:") for line in result.out.splitlines()) == 20
    assert "12:08:20" in result.out
    assert len(world.crossfade("explain", "web", "-o", "table").out.splitlines()) == 51


def test_windows_that_only_the_status_has_are_shown_too(world: World) -> None:
    rollout = told(errors()).go_on(3)
    keep(world, rollout)
    rollout.go_on(2)
    world.report(rollout.status(rollout.records[-3:]), "web")
    shown = words(world.crossfade("explain", "web"))
    assert "5 kept, all judged again" in shown


def test_a_status_alone_is_enough(world: World) -> None:
    rollout = told(errors()).go_on(3)
    world.add("web", rollout.status(observed_spec=None), **rollout.spec)
    assert "3 kept, all judged again" in words(world.crossfade("explain", "web"))


def test_missing_windows_are_named(world: World) -> None:
    rollout = told(errors()).go_on(3)
    keep(world, rollout)
    rollout.go_on(30)
    world.report(rollout.status(), "web")
    shown = words(world.crossfade("explain", "web"))
    assert "23 kept, 0 judged again" in shown
    rollout = told(errors(), begun=NOW + MINUTE).go_on(30)
    world.report(rollout.status(), "web")
    shown = words(world.crossfade("explain", "web"))
    assert "the 10 before them were let go to save room, or were never stored" in shown


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"w000002": "{}"}, "the windows kept beside the Canary cannot be read: a record without a number"),
        ({"rollout": "{}"}, "the windows kept beside the Canary cannot be read: it is not said when"),
    ],
)
def test_spoiled_windows_are_no_crash(world: World, change: dict[str, str], said: str) -> None:
    rollout = told(errors()).go_on(3)
    keep(world, rollout)
    world.cluster.patch(CONFIG_MAPS, world.namespace, "web-evidence", {"data": change})
    result = world.crossfade("explain", "web")
    assert result.code == 0
    assert said in words(result)
    world.report(rolled_back(rollout), "web")
    result = world.crossfade("explain", "web")
    assert result.code == 0
    assert said in " ".join(result.err.split())


def test_a_config_map_of_somebody_else_is_not_believed(world: World) -> None:
    rollout = told(errors()).go_on(3)
    world.add("web", rollout.status(), **rollout.spec)
    theirs = {"metadata": {"name": "web-evidence"}, "data": {"rollout": "{}"}}
    world.cluster.create(CONFIG_MAPS, world.namespace, theirs)
    shown = words(world.crossfade("explain", "web"))
    assert "ConfigMap web-evidence does not belong to this Canary" in shown
    assert "3 kept, all judged again" in shown


def test_windows_in_a_status_that_make_no_sense_are_named(world: World) -> None:
    world.add("web", told(errors()).go_on().status(({"number": "one"},)), **told(errors()).spec)
    result = world.crossfade("explain", "web")
    assert result.code == 0
    assert "the windows in the Canary's status cannot be read: a record without a number" in result.err


def test_a_verdict_that_comes_out_otherwise_is_told(world: World) -> None:
    rollout = told(errors()).go_on(3)
    keep(world, rollout, rolled_back(rollout))
    wrong = json.loads(json.dumps(rollout.records[2]))
    wrong["readings"]["errors"]["candidate"]["bad"] += 1
    patch = {"data": {"w000002": json.dumps(wrong)}}
    world.cluster.patch(CONFIG_MAPS, world.namespace, "web-evidence", patch)
    shown = words(world.crossfade("explain", "web"))
    assert "3 kept, all judged again window 2 at 2026-03-01 12:00:20 UTC: because: said" in shown
    rows = world.crossfade("explain", "web", "-o", "table").out.splitlines()
    assert [("otherwise" in row) for row in rows] == [False, False, True, True]
    document = json.loads(world.crossfade("explain", "web", "-o", "json").out)
    assert document["agrees"] is False
    assert [bool(each["differs"]) for each in document["windows"]] == [False, True, True]


def test_before_anything_was_judged_there_is_nothing_to_explain(world: World) -> None:
    world.add("web")
    result = world.crossfade("explain", "web")
    assert (result.code, result.out) == (0, "")
    assert result.err == (
        f"{world.namespace}/web: nothing has been judged yet: no controller has looked at it yet\n"
    )


def test_a_new_rollout_shows_the_one_before_and_says_so(world: World) -> None:
    rollout = told(errors()).go_on(3)
    status = rolled_back(rollout)
    later = NOW + MINUTE * 5
    keep(world, rollout, status)
    new = Status(
        phase=Phase.PREPARING,
        stable=V1,
        candidate=V2,
        started_at=later,
        history=status.history,
        reason="soon",
    )
    world.report(new, "web")
    shown = words(world.crossfade("explain", "web"))
    assert "note nothing has been judged of this rollout yet; below is the one before" in shown
    assert "decided v2 was rolled back at" in shown
    assert "errors " in shown
    world.report(replace(new, history=()), "web")
    assert "decided how v2 ended is not remembered" in words(world.crossfade("explain", "web"))


def test_everything_is_there_as_data(world: World) -> None:
    rollout = told(errors()).go_on(3)
    keep(world, rollout)
    document = json.loads(world.crossfade("explain", "web", "-o", "json").out)
    assert document["canary"] == f"{world.namespace}/web"
    assert (document["agrees"], document["trouble"], document["notes"]) == (True, "", [])
    assert [each["number"] for each in document["windows"]] == [1, 2, 3]
    assert all(each["again"] == each["said"] for each in document["windows"])
    assert list(document["analyses"]) == [document["windows"][0]["analysis"]]


def test_a_saved_rollout_is_judged_again_without_a_cluster(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = told(errors(), latency(), saturation()).go_on(2, settled=False).go_on(6).blind()
    keep(world, rollout)
    file = tmp_path / "web.json"
    assert world.crossfade("explain", "web", "--save", str(file)).out == f"9 windows written to {file}\n"
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": "/nowhere", "HOME": str(tmp_path)}
    done = subprocess.run(
        [BIN / "crossfade", "explain", "--replay", file],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "windows: 9 kept, all judged again: every verdict comes out the same, to the last digit\n",
        "",
    )
    document = json.loads(file.read_text())
    document["windows"][4]["readings"]["errors"]["candidate"]["bad"] += 1
    file.write_text(json.dumps(document))
    capsys.readouterr()
    assert run(["explain", "--replay", str(file)]) == 1
    told_now = capsys.readouterr().out.splitlines()
    assert told_now[0] == "windows: 9 kept, all judged again"
    assert told_now[1].startswith("window 5 at 2026-03-01 12:00:50 UTC: because: said ")
    assert "; errors odds: said " in told_now[1]
    assert told_now[2].startswith("window 6 at 2026-03-01 12:01:00 UTC: ")
    assert told_now[4:] == ["2 more after them, of 9"]
    assert run(["explain", "--replay", str(file), "-o", "table", "--no-color"]) == 1
    shown = capsys.readouterr()
    assert sum(row.startswith("12:0") for row in shown.out.splitlines()) == 9
    assert shown.err.splitlines() == told_now


def test_a_saved_rollout_with_a_hole_cannot_be_vouched_for(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = told(errors()).go_on(6)
    keep(world, rollout)
    file = tmp_path / "web.json"
    world.crossfade("explain", "web", "--save", str(file))
    document = json.loads(file.read_text())
    del document["windows"][3]
    file.write_text(json.dumps(document))
    assert run(["explain", "--replay", str(file)]) == 1
    shown = capsys.readouterr().out
    assert "windows: 5 kept, 3 judged again: every" in shown
    assert "not all can be judged again: window 4 is missing" in shown


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file or directory"),
        ("{", "Expecting property name"),
        ("[]", "no windows as --save writes them"),
        ('{"kind": "Canary"}', "no windows as --save writes them"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
        (
            '{"rollout": {"startedAt": "noon"}, "begin": null, "analyses": {}, "windows": []}',
            "it is not said when the rollout began",
        ),
    ],
)
def test_a_file_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, said: str
) -> None:
    file = tmp_path / "odd.json"
    if content is not None:
        file.write_text(content)
    assert run(["explain", "--replay", str(file)]) == 1
    told_now = capsys.readouterr().err
    assert told_now.startswith(f"error: {file}: {said}")
    assert "Traceback" not in told_now


JUNK: dict[str, Callable[[dict[str, Any]], object]] = {
    "no windows": lambda document: document["windows"].clear(),
    "no time": lambda document: document["windows"][1].pop("until"),
    "nothing said": lambda document: document["windows"][1].update(said=[]),
    "odd odds": lambda document: document["windows"][1]["said"]["metrics"].update(errors={"odds": "many"}),
    "no readings": lambda document: document["windows"][1].update(readings={}),
    "no settings": lambda document: document["analyses"].clear(),
    "broken settings": lambda document: document.update(analyses={"1": {}}),
    "no beginning": lambda document: document.update(begin=None),
    "an odd beginning": lambda document: document["begin"].update(memory=7),
    "an odd candidate": lambda document: document["rollout"].update(candidate="v2"),
}


@pytest.mark.parametrize("spoil", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("form", [[], ["-o", "table"], ["-o", "json"]], ids=["words", "table", "json"])
def test_junk_in_a_file_is_no_crash(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[dict[str, Any]], object],
    form: list[str],
) -> None:
    rollout = told(errors()).go_on(3)
    records = json.loads(json.dumps(rollout.records))
    analyses = {records[1]["analysis"]: rollout.analysis.model_dump(mode="json", by_alias=True)}
    begun = {"candidate": {"version": "v2"}, "stable": None, "startedAt": NOW.isoformat()}
    document = {"rollout": begun, "begin": records[0], "analyses": analyses, "windows": records[1:]}
    spoil(document)
    file = tmp_path / "junk.json"
    file.write_text(json.dumps(document))
    assert run(["explain", "--replay", str(file), *form]) in (0, 1)
    assert capsys.readouterr().out


def test_a_file_that_cannot_be_written_is_named(world: World, tmp_path: Path) -> None:
    keep(world, told(errors()).go_on())
    result = world.crossfade("explain", "web", "--save", str(tmp_path))
    assert (result.code, result.err) == (1, f"error: {tmp_path}: Is a directory\n")


def test_what_others_wrote_plays_no_tricks_on_a_terminal(world: World) -> None:
    rollout = told(errors()).blind("no \x1b[2Janswer")
    keep(world, rollout)
    result = world.crossfade("explain", "web")
    assert "\x1b" not in result.out
    assert "no [2Janswer" in words(result)
    assert "1 kept, all judged again: every" in words(result)


def test_notes_of_both_versions_are_told_apart(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    rollout = told(errors(), latency())
    reading = MetricReading(Counts(5, 1, "counting starts now"), NoData("no series"), "")
    nothing = MetricReading(NoData("away"), NoData("away"), "")
    window = Window(
        None,
        NOW + TEN_SECONDS,
        Phase.TESTING,
        0,
        settled=True,
        testers=False,
        readings={"errors": reading, "latency": nothing},
    )
    rollout.judge(window, rollout.analysis)
    keep(world, rollout)
    (row,) = world.crossfade("explain", "web", "-o", "table", "--metric", "errors").out.splitlines()[1:]
    assert row.split()[:6] == ["12:00:10", "Testing", "5", "1", "-", "-"]
    assert "counting starts now; stable: no series" in row
    shown = world.crossfade("explain", "web", "-o", "table", "--metric", "latency").out
    assert shown.count("away") == 1


def test_the_metric_that_is_not_to_be_seen_is_named(world: World) -> None:
    rollout = told(errors(), saturation())
    blind = MetricReading(NoData("away"), NoData("away"), "")
    fine = MetricReading(Counts(5, 1), Counts(50, 0), "")
    window = Window(
        NOW, NOW + TEN_SECONDS, Phase.SHIFTING, 10, settled=True, testers=False,
        readings={"errors": fine, "saturation": blind},
    )  # fmt: skip
    rollout.judge(window, rollout.analysis)
    keep(world, rollout)
    shown = world.crossfade("explain", "web", "-o", "table", "--metric", "errors").out
    assert "Blind" in shown
    assert "because of saturation" in shown


def test_colours_are_for_terminals_that_want_them(world: World) -> None:
    rollout = told(errors()).go_on()
    keep(world, rollout)
    assert "\x1b" not in world.crossfade("explain", "web", "--no-color").out
