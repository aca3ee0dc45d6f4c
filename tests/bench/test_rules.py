import re

import pytest

import bench.__main__ as bench_program
from bench.__main__ import PAGE
from bench.rules import BEGIN, CANDIDATES, END, KINDS, RATES, RULES, Sizes, argo, flagger, measure, placed
from config.status import Outcome
from controller.rehearsal.traffic import Effect, Traffic


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


GOOD = Traffic(500.0, base_error=0.0)
SIZES = Sizes(equal=3, bad=2, workers=1)


def test_every_rule_meets_every_traffic_and_every_candidate() -> None:
    found = measure(SIZES, rates=(50.0,))
    assert len(found) == len(KINDS) * len(RULES) * len(CANDIDATES)
    assert {len(runs) for cell, runs in found.items() if cell.effect.errors} == {2}
    assert {len(runs) for cell, runs in found.items() if not cell.effect.errors} == {3}
    worst = [runs for cell, runs in found.items() if cell.effect.errors == 0.05]
    assert all(run.outcome is Outcome.ROLLED_BACK for runs in worst for run in runs)


@pytest.mark.parametrize("rule", [flagger(1), flagger(5), argo(0)])
def test_a_good_version_climbs_a_step_a_minute(rule: "object") -> None:
    assert callable(rule)
    ended = rule(GOOD, Effect(), "1")
    assert (ended.outcome, ended.seconds, ended.failed) == (Outcome.PROMOTED, 300.0, 0)


def test_flagger_goes_back_a_tick_after_the_last_failed_check() -> None:
    broken = Effect(errors=0.5)
    for threshold in (1, 5):
        ended = flagger(threshold)(GOOD, broken, "1")
        assert ended.outcome is Outcome.ROLLED_BACK
        assert ended.seconds == 60.0 * (threshold + 1)
        assert ended.failed == pytest.approx(60 * (threshold + 1) * 500 * 0.05 * 0.5, rel=0.1)


def test_argo_goes_back_at_once_when_one_measurement_too_many_has_failed() -> None:
    for limit in (0, 2):
        ended = argo(limit)(GOOD, Effect(errors=0.5), "1")
        assert ended.outcome is Outcome.ROLLED_BACK
        assert ended.seconds == 60.0 * (limit + 1)


def test_no_requests_are_a_failed_check() -> None:
    nobody = Traffic(1e-6, base_error=0.0)
    assert flagger(5)(nobody, Effect(), "1").outcome is Outcome.ROLLED_BACK
    assert argo(0)(nobody, Effect(), "1").seconds == 60.0


def test_the_page_has_a_row_for_every_rule_and_every_traffic() -> None:
    rows = [line.split(" | ")[:3] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    found = {(kind.removeprefix("| "), rps, rule) for kind, rps, rule in rows}
    assert {(kind, f"{rps:g}", rule) for kind in KINDS for rps in RATES for rule in RULES} <= found


def test_the_table_stands_between_its_markers_only_once() -> None:
    page = placed(placed("# Page\n", f"{BEGIN}\nold\n{END}"), f"{BEGIN}\nnew\n{END}")
    assert page == f"# Page\n\n{BEGIN}\nnew\n{END}\n"
    assert placed(f"a\n{BEGIN}old{END}\nb\n", f"{BEGIN}new{END}") == f"a\n{BEGIN}new{END}\nb\n"


def test_a_quick_look_prints_the_table_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_program, "QUICK", Sizes(equal=1, bad=1, workers=1))
    before = bench_program.PAGE.read_text()
    bench_program.main(["rules", "--quick"])
    printed = capsys.readouterr().out
    rows = [line for line in printed.splitlines() if re.match(r"\| (steady|bursty|drifting) ", line)]
    assert len(rows) == len(KINDS) * len(RULES) * 3
    assert {row.count("|") for row in rows} == {9}
    assert bench_program.PAGE.read_text() == before


def test_the_same_sizes_give_the_same_table() -> None:
    small = Sizes(equal=1, bad=1, workers=1)
    assert measure(small, (50.0,)) == measure(small, (50.0,))
