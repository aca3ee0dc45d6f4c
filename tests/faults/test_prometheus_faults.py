"""Every way in which Prometheus fails: nothing rises, nothing is rolled back, and the next answer decides.

The real client asks a stand-in over HTTP. docs/faults.md names these tests by their ids.
"""

import datetime as dt
from collections.abc import Iterator

import pytest

from config.status import HeldReason, Outcome, Phase, Verdict
from lab import Fault, Lab, Reply, lab
from situations import HOUR, SECOND
from weather import Content


FAULTY = 4
"""Evaluations that meet the fault."""
WRONG = "and something that Prometheus does not say"


def answered(code: int, content: bytes, **headers: str) -> Fault:
    """Answer this instead."""

    def fault(reply: Reply) -> None:
        reply.code, reply.content = code, content
        reply.headers |= {name.replace("_", "-"): value for name, value in headers.items()}

    return fault


def ended(then: str) -> Fault:
    return lambda reply: setattr(reply, "then", then)


def valued(value: str) -> Fault:
    """Give every series this value."""

    def fault(reply: Reply) -> None:
        for series in reply.series:
            for pair in series.get("values") or [series["value"]]:
                pair[1] = value

    return fault


def truncated(reply: Reply) -> None:
    reply.content = b'{"status": "success", "data": {"resultType": "vector", "result": [{"met'


def doubled(reply: Reply) -> None:
    reply.series.extend(reply.series[:])


def warned(reply: Reply) -> None:
    reply.document["warnings"] = ["store 2 of 2 is not available"]


FAULTS = {
    "down": (ended("cut"), "cannot be reached"),
    "slow": (ended("silence"), "took longer than 0.4s"),
    "400": (answered(400, b'{"status": "error", "error": "no such function"}'), "refused the query: no such"),
    "422": (
        answered(422, b'{"status": "error", "error": "too many samples"}'),
        "refused the query: too many",
    ),
    "429": (answered(429, b"slow down", Retry_After="3600"), "gave status 429"),
    "500": (answered(500, b'{"status": "error", "error": "disk full"}'), "gave status 500: disk full"),
    "503": (answered(503, b"<html>no backend</html>"), "gave status 503"),
    "nan": (valued("NaN"), "a counter cannot be nan"),
    "inf": (valued("+Inf"), "a counter cannot be inf"),
    "negative": (valued("-1"), "a counter cannot be -1"),
    "duplicate": (doubled, "the same series twice"),
    "warning": (warned, "gave a partial answer: store 2 of 2 is not available"),
    "truncated": (truncated, f"gave status 200: {WRONG}"),
    "html": (answered(200, b"<html>please sign in</html>"), f"gave status 200: {WRONG}"),
    "nothing": (answered(200, b""), f"gave status 200: {WRONG}"),
    "empty": (lambda reply: reply.series.clear(), "finds no series"),
}
EACH = pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS.keys())


@pytest.fixture
def at_20() -> Iterator[Lab]:
    """Give a lab in which v2 has just got 20%, and nothing is known about it there."""
    with lab(testing=None, shifting={"steps": [20, 60, 100], "interval": "10s"}) as found:
        found.weather.deploy("v2")
        found.run(lambda: found.weather.content.weight == 20)
        yield found


def stands(found: Lab) -> None:
    """See that everything is as before the fault."""
    assert (found.status.phase, found.status.weight) == (Phase.SHIFTING, 20)
    assert found.weather.content == Content("v1", "v2", 20)
    assert found.status.ending is None


def promoted(found: Lab) -> None:
    found.run(lambda: found.status.phase is Phase.PROMOTED)
    assert found.shares == [0, 20, 60, 100, 0]
    assert [entry.outcome for entry in found.status.history] == [Outcome.PROMOTED]


def rolled_back(found: Lab) -> None:
    found.run(lambda: found.status.phase is Phase.ROLLED_BACK)
    assert found.shares == [0, 20, 0]
    assert found.weather.content == Content("v1")
    assert found.status.history[0].reason.startswith("harmful: errors: ")


@EACH
def test_a_good_version_waits_and_goes_on(at_20: Lab, fault: Fault, said: str) -> None:
    at_20.fault = fault
    for _ in range(FAULTY):
        at_20.evaluate()
        stands(at_20)
        assert at_20.status.verdict is Verdict.BLIND
        assert said in at_20.status.metrics[0].message
    held = at_20.status.held
    assert held is not None
    assert (held.reason, said in held.message) == (HeldReason.BLIND, True), held.message
    assert "Blind" in at_20.reasons
    at_20.fault = None
    promoted(at_20)


@EACH
def test_a_bad_version_is_rolled_back_by_the_first_answer(at_20: Lab, fault: Fault, said: str) -> None:
    at_20.error_rates["v2"] = 0.5
    at_20.fault = fault
    at_20.evaluate(FAULTY)
    stands(at_20)
    at_20.fault = None
    last = at_20.status.evaluated_at
    rolled_back(at_20)
    decided = at_20.status.evaluated_at
    assert last is not None
    assert decided is not None
    assert decided - last <= 5 * SECOND, "it did not take more than one interval"


@pytest.mark.parametrize("fault", [FAULTS["down"][0], FAULTS["html"][0]], ids=["down", "html"])
def test_nobody_is_exposed_while_stable_cannot_be_surveyed(fault: Fault) -> None:
    with lab(testing=None) as found:
        found.fault = fault
        found.weather.deploy("v2")
        found.run(lambda: found.status.held is not None)
        asked = found.asked
        found.run(lambda: found.asked > asked + 3)
        assert (found.status.phase, found.shares) == (Phase.PREPARING, [0])
        assert found.status.held is not None
        assert found.status.held.reason is HeldReason.BLIND
        found.fault = None
        found.run(lambda: found.status.phase is Phase.PROMOTED)


def test_a_rollback_that_is_decided_needs_no_answer(at_20: Lab) -> None:
    at_20.error_rates["v2"] = 0.5
    at_20.run(lambda: at_20.status.phase is Phase.ROLLING_BACK)
    at_20.fault = FAULTS["slow"][0]
    rolled_back(at_20)


def test_a_crashing_version_is_rolled_back_although_nothing_can_be_asked(at_20: Lab) -> None:
    at_20.fault = FAULTS["down"][0]
    at_20.evaluate(2)
    at_20.weather.deploy("v2", ready=0)
    at_20.tick()
    assert at_20.weather.content == Content("v1")


class TestScrapes:
    """Prometheus answers, and does not know what has happened meanwhile."""

    def test_gap(self, at_20: Lab) -> None:
        """It stands still: what it gives is complete, and old."""
        at_20.frozen = True
        at_20.evaluate(FAULTY)
        stands(at_20)
        assert at_20.status.held is not None
        assert at_20.status.held.reason is HeldReason.TOO_FEW_REQUESTS
        at_20.frozen = False
        promoted(at_20)

    def test_gap_hides_no_harm(self, at_20: Lab) -> None:
        at_20.error_rates["v2"] = 0.5
        at_20.frozen = True
        at_20.evaluate(FAULTY)
        stands(at_20)
        at_20.frozen = False
        rolled_back(at_20)

    def test_long_gap_is_blindness(self, at_20: Lab) -> None:
        """After five minutes Prometheus has nothing to give any more."""
        at_20.edit(analysis={**at_20.document.spec["analysis"], "blind": {"after": "1h"}})
        at_20.frozen = True
        at_20.run(lambda: "Blind" in at_20.reasons, within=200)
        stands(at_20)
        at_20.frozen = False
        promoted(at_20)

    def test_counter_resets_of_a_good_version(self, at_20: Lab) -> None:
        for version in ("v2", "v1", "v2"):
            at_20.evaluate()
            at_20.restart(version)
        promoted(at_20)
        assert at_20.status.history[0].bad == 0

    def test_counter_resets_of_a_bad_version(self, at_20: Lab) -> None:
        at_20.error_rates["v2"] = 0.1
        at_20.advance(SECOND)
        at_20.restart("v2")
        rolled_back(at_20)

    def test_a_burst_after_a_gap_is_counted_once(self, at_20: Lab) -> None:
        at_20.frozen = True
        at_20.evaluate(FAULTY)
        at_20.frozen = False
        promoted(at_20)
        sent = at_20._history[-1][1]["v2"][0]
        assert at_20.status.history[0].requests <= sent


class TestClocks:
    """An answer about another time is none; what was known before stays."""

    @pytest.fixture(params=[HOUR, -HOUR], ids=["ahead", "behind"])
    def leap(self, request: pytest.FixtureRequest) -> dt.timedelta:
        leap: dt.timedelta = request.param
        return leap

    def skewed(self, found: Lab) -> None:
        found.evaluate(FAULTY)
        stands(found)
        assert found.status.held is not None
        assert found.status.held.reason is HeldReason.BLIND
        assert "3600s" in found.status.held.message

    def test_theirs_is_off(self, at_20: Lab, leap: dt.timedelta) -> None:
        at_20.there = leap
        self.skewed(at_20)
        at_20.there = dt.timedelta(0)
        promoted(at_20)

    def test_ours_is_set_in_mid_rollout_and_set_right(self, at_20: Lab, leap: dt.timedelta) -> None:
        at_20.set_clock(leap)
        self.skewed(at_20)
        at_20.set_clock(-leap)
        promoted(at_20)

    @pytest.mark.parametrize("restarted", [False, True], ids=["same process", "fresh process"])
    def test_harm_is_found_as_soon_as_ours_is_right(
        self, at_20: Lab, leap: dt.timedelta, *, restarted: bool
    ) -> None:
        at_20.evaluate()
        at_20.error_rates["v2"] = 0.5
        at_20.set_clock(leap)
        self.skewed(at_20)
        at_20.set_clock(-leap)
        if restarted:
            at_20.reconciler = at_20.started()
        right = at_20.weather.now
        rolled_back(at_20)
        assert at_20.weather.now - right < 20 * SECOND

    def test_everybodys_is_set(self, at_20: Lab, leap: dt.timedelta) -> None:
        """A machine with all of them on it: the soak may begin anew, and is over at the latest then."""
        at_20.evaluate()
        at_20.weather.now += leap
        if leap < dt.timedelta(0):  # what it has stored is of the future now; a real one drops it
            at_20._scraped = [(at_20.weather.now, at_20._scraped[-1][1])]
        begun = at_20.weather.now
        promoted(at_20)
        assert at_20.weather.now - begun < 120 * SECOND
