"""The rules that users write today and Crossfade's, on the same simulated traffic.

Every rule moves users in the same five steps of at least a minute, and reads the
same counters at the same scrapes. What they do with them follows their own
documentation:

- Flagger: every minute the success rate of the last minute is checked. A failed
  check stops the ladder for that minute; failed checks add up over the whole run,
  and the rollback comes with the tick after the last one allowed. No requests is a
  failed check. https://docs.flagger.app/usage/how-it-works, /usage/metrics
- Argo Rollouts: a background analysis with `successCondition: result[0] >= 0.99`
  and an initial delay of a minute measures every minute; one measurement more than
  `failureLimit` (0 by default, 3 in its examples) aborts at once. No requests (NaN)
  is a failure.
  https://argo-rollouts.readthedocs.io/en/stable/features/analysis/
"""

import functools
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from random import Random
from typing import NamedTuple

from config.canary import CanarySpec
from config.load import load_spec
from config.status import Outcome
from controller.rehearsal.forecast import highest
from controller.rehearsal.rehearse import rehearse
from controller.rehearsal.stream import Stream
from controller.rehearsal.traffic import Effect, Traffic


LADDER = (5, 10, 25, 50, 100)
MINUTE = 60.0
LEAST_SUCCESS = 0.99
BASE = 0.001
TOTAL = 'http_requests_total{version="{{ version }}"}'
BAD = 'http_requests_total{version="{{ version }}", code=~"5.."}'
RATES = (5.0, 50.0, 500.0)
KINDS = {
    "steady": Traffic(1.0, base_error=BASE),
    "bursty": Traffic(1.0, base_error=BASE, burst=5.0),
    "drifting": Traffic(1.0, base_error=BASE, drift=5.0),
}
CANDIDATES = (Effect(), Effect(errors=0.005), Effect(errors=0.01), Effect(errors=0.05))
_CONFIGURED = (
    "Crossfade as `max: 1%`, Flagger as the threshold range of `request-success-rate`, Argo Rollouts as the "
    "`successCondition` of a background analysis."
)
BEGIN, END = "<!-- rules: begin -->", "<!-- rules: end -->"


class Ended(NamedTuple):
    """One release."""

    outcome: Outcome | None
    """None: it was held, and is still."""
    seconds: float
    """Since users first met it."""
    failed: int
    """Users' requests that it failed until it was gone, or had everybody."""


class Cell(NamedTuple):
    """One rule, one traffic, one candidate."""

    rule: str
    kind: str
    rps: float
    effect: Effect


@dataclass(frozen=True)
class Sizes:
    """How many releases are simulated."""

    equal: int = 400
    bad: int = 100
    workers: int = 2
    """Processes; one: this one."""


Rule = Callable[[Traffic, Effect, str], Ended]


def crossfade(traffic: Traffic, effect: Effect, seed: str) -> Ended:
    """Release by Crossfade's defaults, with the limit that the other rules have."""
    run = rehearse(_spec(), traffic, effect, seed)
    opened = next((at for weight, at in run.steps if weight), 0.0)
    return Ended(run.outcome, run.took - opened, run.harmed)


def flagger(threshold: int) -> Rule:
    """Give the rule with this many failed checks."""

    def release(traffic: Traffic, effect: Effect, seed: str) -> Ended:
        watched, failed, step = _Watched(traffic, effect, seed), 0, 0
        while failed < threshold:
            watched.give(LADDER[step])
            if watched.next_minute():
                step += 1
            else:
                failed += 1
            if step == len(LADDER):
                return watched.ended(Outcome.PROMOTED)
        watched.give(LADDER[step])
        watched.next_minute()
        return watched.ended(Outcome.ROLLED_BACK)

    return release


def argo(failure_limit: int) -> Rule:
    """Give the rule with this failureLimit; the ladder does not wait for the analysis."""

    def release(traffic: Traffic, effect: Effect, seed: str) -> Ended:
        watched, failed = _Watched(traffic, effect, seed), 0
        for weight in LADDER:
            watched.give(weight)
            failed += not watched.next_minute()
            if failed > failure_limit:
                return watched.ended(Outcome.ROLLED_BACK)
        return watched.ended(Outcome.PROMOTED)

    return release


RULES: Mapping[str, Rule] = {
    "Crossfade, defaults": crossfade,
    "Flagger, threshold 5": flagger(5),
    "Flagger, threshold 1": flagger(1),
    "Argo, failureLimit 0": argo(0),
    "Argo, failureLimit 3": argo(3),
}


class _Watched:
    """A stream looked at once a minute, as rate(...[1m]) sees it: from the first scrape in it to the last."""

    def __init__(self, traffic: Traffic, effect: Effect, seed: str) -> None:
        self._stream = Stream(traffic, effect, (), Random(seed))  # noqa: S311  # a simulation
        self._stream.advance(traffic.scrape)
        self._opened = self._stream.now

    def give(self, weight: int) -> None:
        self._stream.route(weight / 100, testing=False)

    def next_minute(self) -> bool:
        """Let a minute pass; tell whether the success rate of it is good enough."""
        stream = self._stream
        end = stream.now + MINUTE
        stream.advance(stream.now + stream.traffic.scrape)
        first = stream.seen("candidate")
        stream.advance(end)
        last = stream.seen("candidate")
        requests, bad = last.requests - first.requests, last.bad - first.bad
        return requests > 0 and 1 - bad / requests >= LEAST_SUCCESS

    def ended(self, outcome: Outcome) -> Ended:
        stream = self._stream
        seconds = stream.now - self._opened
        if outcome is Outcome.ROLLED_BACK:
            stream.route(0.0, testing=False)
            stream.advance(stream.now + 2 * stream.traffic.lag)
        return Ended(outcome, seconds, stream.harmed)


def measure(sizes: Sizes, rates: Sequence[float] = RATES) -> dict[Cell, list[Ended]]:
    """Simulate all releases; the same sizes give the same table."""
    cells = [
        Cell(rule, kind, rps, effect)
        for kind in KINDS
        for rps in rates
        for rule in RULES
        for effect in CANDIDATES
    ]
    counts = [sizes.bad if cell.effect.errors else sizes.equal for cell in cells]
    if sizes.workers == 1:
        return {cell: _releases(cell, count) for cell, count in zip(cells, counts, strict=True)}
    with ProcessPoolExecutor(sizes.workers, mp_context=get_context("forkserver")) as pool:
        return dict(zip(cells, pool.map(_releases, cells, counts), strict=True))


def section(sizes: Sizes) -> str:
    """Write the part of the page between the markers, the markers included."""
    found = measure(sizes)
    return "\n".join([BEGIN, _explained(sizes), *_table(found), "", END])


def placed(page: str, part: str) -> str:
    """Put the part where the last one stands, or at the end."""
    before, begins, rest = page.partition(BEGIN)
    if not begins:
        return f"{page.rstrip()}\n\n{part}\n"
    return before + part + rest.partition(END)[2]


def _releases(cell: Cell, count: int) -> list[Ended]:
    traffic = replace(KINDS[cell.kind], rps=cell.rps)
    rule = RULES[cell.rule]
    return [rule(traffic, cell.effect, f"{cell.kind}/{cell.rps}/{number}") for number in range(count)]


def _explained(sizes: Sizes) -> str:
    return f"""\
## Rules on the same traffic

Simulated releases, {sizes.equal} of an equal version and {sizes.bad} of each bad one.
All rules get the same requests, scraped every 15 s, of which 0.1% fail anyway.
Bursty: failures come in rows of 5 on average.
Drifting: the failing share of both versions swings by a factor of 5 within 20 minutes.
Everybody moves 5, 10, 25, 50, 100%, at least a minute each, and wants 99% success: {_CONFIGURED}

- Rolled back by mistake: of the equal versions; in brackets below what the chance is, 95% sure.
- Each bad version: how many were rolled back; users' failed requests until then, median (9 in 10 at most); \
median time until rolled back.
- A version that is not rolled back goes on failing requests after its last step; those are not counted.

Rules that allow no failed check go back soonest where there are few requests, and take up to a \
tenth of the good releases with them; rules that allow some let more requests fail before they act.
Crossfade waits for requests instead: at 5 per second a good release takes three times as long.
It knows bursts from stable's past alone: where stable fails too rarely to show them (bursty, 5 \
requests/s), more good releases are rolled back than `falseRollbackRate` (1%) allows.

Repeat it with `.venv/bin/python -m bench rules`; the seeds are fixed.
"""


def _table(found: Mapping[Cell, list[Ended]]) -> Iterator[str]:
    bad = [effect.name for effect in CANDIDATES if effect.errors]
    yield f"| traffic | rps | rule | rolled back by mistake | good release takes | {' | '.join(bad)} |"
    yield "|---" * (5 + len(bad)) + "|"
    for rule, kind, rps, effect in found:
        if effect.errors:
            continue
        equal = found[Cell(rule, kind, rps, effect)]
        wrong = sum(each.outcome is Outcome.ROLLED_BACK for each in equal)
        good = [each.seconds for each in equal if each.outcome is Outcome.PROMOTED]
        held = sum(each.outcome is None for each in equal) / len(equal)
        cells = [
            kind,
            f"{rps:g}",
            rule,
            f"{wrong / len(equal):.1%} (< {highest(wrong, len(equal)):.1%})",
            (_minutes(statistics.median(good)) if good else "-") + (f", {held:.1%} held" if held else ""),
            *(_bad(found[Cell(rule, kind, rps, each)]) for each in CANDIDATES if each.errors),
        ]
        yield f"| {' | '.join(cells)} |"


def _bad(runs: Sequence[Ended]) -> str:
    caught = [run.seconds for run in runs if run.outcome is Outcome.ROLLED_BACK]
    failed = sorted(run.failed for run in runs)
    middle, most = statistics.median_low(failed), failed[math.ceil(0.9 * len(failed)) - 1]
    after = f", {_minutes(statistics.median(caught))}" if caught else ""
    return f"{len(caught) / len(runs):.0%}: {middle:,} ({most:,}){after}"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


@functools.cache
def _spec() -> CanarySpec:
    metric = {"name": "errors", "ratio": {"bad": BAD, "total": TOTAL}, "max": "1%"}
    return load_spec(
        {
            "workload": {"selector": {"app": "echo"}},
            "upstream": {"name": "echo", "namespace": "gloo-system"},
            "routes": [{"name": "echo", "namespace": "gloo-system"}],
            "shifting": {"steps": list(LADDER), "interval": "1m"},
            "analysis": {"metrics": [metric]},
        }
    )
