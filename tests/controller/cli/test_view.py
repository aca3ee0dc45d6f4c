import datetime as dt
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from canaries import ERRORS, MINUTE, NOW, PROMOTED, ROLLED_BACK, document, held, resting, status
from config.status import Comparison, Dispersion, HeldReason, MetricStatus, Phase, Status, Verdict
from config.status import Tests as Known
from controller.cli.reading import canary_of
from controller.cli.view import line, screen


def shown(of: Status | None, **spec: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=80, no_color=True, markup=False, highlight=False)
    console.print(screen(canary_of(document(of, **spec)), NOW))
    return "\n".join(row.rstrip() for row in out.getvalue().splitlines())


def test_a_rollout_under_way_is_told_completely_in_80_columns() -> None:
    latency = MetricStatus(
        "latency",
        Verdict.SAFE,
        "0% slower than 0.5s (0 of 20 requests), stable 0.25%; odds of harm 1:40, 400:1 roll back",
        0.0,
        0.0025,
        "p99 <= 0.5s, <= 1.5 x stable",
        0.025,
        requests=20,
        dispersion=4.2,
    )
    soaking = status(
        step_started_at=NOW - dt.timedelta(seconds=45),
        metrics=(ERRORS, latency),
        history=(ROLLED_BACK, PROMOTED),
    )
    assert (
        shown(soaking)
        == """\
shop/echo  Shifting  step 3/5  v1 -> v2

v1       ██████████████████████████████░░░░░░░░░░ 75%
v2       ██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 25%
soak     ██████████████████████████████░░░░░░░░░░ 45s of 60s
verdict  Undecided
why      v2 at 25%: soaking for 1m

METRIC   CANDIDATE  STABLE  LIMIT                    REQUESTS  ODDS  VERDICT
errors       0.84%    0.1%  <= 1%, <= 1.5 x stable    118/100   1:3  Undecided
latency         0%   0.25%  p99 <= 0.5s, <= 1.5 x      20/100  1:40  Safe
                            stable

errors   0.84% bad (1 of 118 requests), stable 0.1%; odds of harm 1:3, 400:1
         roll back
latency  0% slower than 0.5s (0 of 20 requests), stable 0.25%; odds of harm
         1:40, 400:1 roll back (stable's come in bursts, dispersion 4.2:
         evidence counts for less)

BEFORE  OUTCOME     UP TO  ENDED    REASON
v3      RolledBack    25%  25m ago  errors: 5.1% bad, at most 1% allowed (6 of
                                    118 requests)
v1      Promoted     100%  80m ago  passed every step
"""
    )


@pytest.mark.parametrize(
    ("windows", "because"), [(19, "stable is hardly known yet"), (20, "stable's come in bursts")]
)
def test_a_dispersion_that_is_assumed_is_not_told_as_measured(windows: int, because: str) -> None:
    known = Known(comparisons=(Comparison(dispersion=Dispersion(windows)),))
    text = " ".join(shown(status(metrics=(replace(ERRORS, dispersion=1.5, tests=known),))).split())
    assert f"({because}, dispersion 1.5: evidence counts for less)" in text


def test_between_rollouts_there_is_no_candidate_no_soak_and_no_metric() -> None:
    text = shown(resting(Phase.ROLLED_BACK, metrics=(ERRORS,), history=(ROLLED_BACK,)))
    assert "v1   ████████████████████████████████████████ 100%" in text
    assert "v2" not in text
    assert "soak" not in text
    assert "METRIC" not in text


def test_copies_are_told_while_they_are_made() -> None:
    copied = {"destinations": "Upstreams", "shadowing": {"percentage": 2.5}}
    text = shown(status(phase=Phase.SHADOWING, weight=0), **copied)
    assert "copies   of 2.5% of the requests go to the candidate" in text
    assert "copies" not in shown(status(), **copied)
    assert "copies" not in shown(status(phase=Phase.SHADOWING, weight=0))


def test_routes_that_differ_from_the_intent_are_pointed_out() -> None:
    assert "routes   give the candidate 10%" in shown(status(weight_seen=10))
    assert "routes" not in shown(status(weight_seen=25))


def test_soak_does_not_begin_before_gloo_has_accepted() -> None:
    assert "waiting for Gloo, then 60s" in shown(status(step_started_at=None))


@pytest.mark.parametrize(
    ("reason", "fields", "spec", "advice"),
    [
        (HeldReason.AWAITING_APPROVAL, {}, {}, "next     crossfade approve echo -n shop"),
        (HeldReason.PAUSED, {"paused": True}, {}, "next     crossfade resume echo -n shop"),
        (
            HeldReason.DRIFT,
            {},
            {},
            "next     find out who changes the routes, then crossfade resume echo -n shop",
        ),
        (HeldReason.STOPPED, {}, {}, "next     kubectl delete the ConfigMap named above"),
        (HeldReason.PAUSED, {}, {"paused": True}, "next     set spec.paused to false"),
        (
            HeldReason.NOT_ACCEPTED,
            {"refusal": "no"},
            {},
            "next     put it right, then crossfade resume echo -n shop",
        ),
    ],
)
def test_who_has_to_do_something_is_told_what(
    reason: HeldReason, fields: dict[str, object], spec: dict[str, object], advice: str
) -> None:
    text = shown(status(held=held(reason, needs_human=True), **fields), **spec)
    assert f"held     {reason} for 3m" in text
    assert advice in text


def test_an_invalid_spec_shows_its_problem_and_still_the_traffic() -> None:
    text = shown(status(), shifting={"steps": [500]})
    assert "shop/echo  Invalid" in text
    assert "found 500; a weight is a whole number from 1 to 100" in text.replace("\n         ", " ")
    assert "██████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 25%" in text


def test_square_brackets_are_text() -> None:
    text = shown(status(reason="x{a=~[bold]} and [/] in spec.routes[0]"))
    assert "why      x{a=~[bold]} and [/] in spec.routes[0]" in text


def test_a_value_of_a_query_is_a_number_and_has_no_requests() -> None:
    metric = MetricStatus("queue", Verdict.SAFE, "value 12.5", 12.5, None, "<= 20")
    text = shown(
        status(metrics=(metric,)), analysis={"metrics": [{"name": "queue", "query": "q", "max": 20}]}
    )
    assert "queue        12.5       -  <= 20                  Safe" in text
    assert "queue  value 12.5\n" in text


def test_a_dry_run_says_what_it_would_have_done() -> None:
    only_reports = MetricStatus("queue", Verdict.SAFE, "value 12.5", 12.5, limit="<= 20", dry_run=True)
    would = replace(only_reports, name="cpu", would_roll_back_at=NOW)
    text = shown(status(metrics=(only_reports, would), would_have="would have rolled back at 12:03 UTC: cpu"))
    assert "dry run  would have rolled back at 12:03 UTC: cpu" in text
    assert "queue  value 12.5 (dry run)" in text
    assert f"(dry run: would have rolled back at {NOW:%H:%M} UTC)" in text


def test_one_line_says_it_all_for_a_log() -> None:
    assert line(canary_of(document(status()))) == "Shifting 25% 3/5 Undecided: v2 at 25%: soaking for 1m"
    assert line(canary_of(document(resting()))) == "Promoted: v1 serves"
    assert line(canary_of(document(None))) == "Preparing: no controller has looked at it yet"


STATUSES = st.builds(
    status,
    phase=st.sampled_from(Phase),
    weight=st.integers(0, 100),
    weight_seen=st.none() | st.integers(0, 100),
    verdict=st.none() | st.sampled_from(Verdict),
    reason=st.text(max_size=200),
    step_started_at=st.none() | st.just(NOW - 5 * MINUTE) | st.just(NOW + MINUTE),
    held=st.none() | st.builds(held, st.sampled_from(HeldReason), needs_human=st.booleans()),
    metrics=st.lists(
        st.builds(
            MetricStatus,
            name=st.sampled_from(["errors", "latency", "gone"]),
            verdict=st.sampled_from(Verdict),
            message=st.text(max_size=80),
            value=st.none() | st.floats(allow_nan=False),
            stable_value=st.none() | st.floats(allow_nan=False),
            limit=st.text(max_size=20),
            requests=st.integers(0, 10**12),
        ),
        max_size=3,
    ).map(tuple),
    history=st.just(()) | st.just((ROLLED_BACK, PROMOTED)),
)


@given(of=STATUSES, width=st.sampled_from([40, 80, 200]))
def test_any_status_fits_its_screen(of: Status, width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True, markup=False, highlight=False)
    console.print(screen(canary_of(document(of)), NOW))
    assert out.getvalue().strip()
    assert line(canary_of(document(of)))
