"""What rehearsals foretell, in words, as a table, as bars and as data. Pure."""

import datetime as dt
import math
from collections.abc import Iterator, Sequence

from config.quantities import format_share
from controller.cli.tables import short, table
from controller.rehearsal.forecast import CONFIDENCE, Forecast, Plan, Quantiles, weights_over_time
from controller.rehearsal.rehearse import Run, patience, soaks
from controller.rehearsal.traffic import Lognormal, Traffic


_WIDTH = 60
"""Columns of the bars."""
_BARS = " ▁▂▃▄▅▆▇█"


def as_text(name: str, plan: Plan, forecasts: Sequence[Forecast]) -> str:
    """Write everything for people; the first forecast is that of a version as good as stable."""
    good, *bad = forecasts
    paragraphs = [
        [f"{name}: {_traffic(plan.traffic)}; {_rehearsals(plan)}"],
        list(_good(plan, good)),
    ]
    if bad:
        paragraphs += [_table(bad), list(_unseen(bad)), _bars(good, bad)]
    if plan.notes:
        paragraphs.append([f"note: {note}" for note in plan.notes])
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines)


def as_document(name: str, plan: Plan, forecasts: Sequence[Forecast]) -> dict[str, object]:
    """Give everything for programs; times are in seconds, shares from 0 to 1."""
    good, *bad = forecasts
    share, bound = good.chance()
    traffic = plan.traffic
    return {
        "canary": name,
        "runs": plan.runs,
        "seed": plan.seed,
        "traffic": {
            "rps": traffic.rps,
            "baseError": traffic.base_error,
            "burst": traffic.burst,
            "scrapeInterval": traffic.scrape,
            "latency": {
                "median": traffic.latency.median if isinstance(traffic.latency, Lognormal) else None,
                "p99": traffic.latency.p99 if isinstance(traffic.latency, Lognormal) else None,
            },
        },
        "good": {
            "falseRollbacks": share,
            "falseRollbacksAtMost": bound,
            "promoted": len(good.promoted) / len(good.runs),
            "held": good.held,
            "seconds": _quantiles(run.took for run in good.promoted),
        },
        "regressions": [
            {
                "candidate": each.effect.name,
                "runs": len(each.runs),
                "rolledBack": each.caught,
                "promoted": len(each.promoted) / len(each.runs),
                "seenInTime": not each.unseen,
                "seconds": _quantiles(run.took for run in each.rolled_back),
                "requests": _quantiles(run.users for run in each.rolled_back),
                "usersHarmed": _quantiles(run.harmed for run in each.rolled_back),
            }
            for each in bad
        ],
        "notes": list(plan.notes),
    }


def lasting(seconds: float) -> str:
    """Write seconds as people do: `42s`, `5m10s`."""
    return short(dt.timedelta(seconds=seconds))


def percent(share: float) -> str:
    """Write a share without decimals; more than nothing is never 0%, and less than all never 100%."""
    return "<1%" if 0 < share < 0.01 else ">99%" if 0.99 < share < 1 else f"{share:.0%}"


def end_of(good: Forecast, bad: Sequence[Forecast]) -> float:
    """Give the time up to which it is worth looking, in whole minutes."""
    times = [run.took for each in bad for run in each.rolled_back]
    usual = Quantiles.of(run.took for run in good.promoted)
    shown = max(sorted(times)[int(len(times) * 0.98)] if times else 0.0, usual.median if usual else 0.0, 60.0)
    return -(-shown // 60) * 60


def _traffic(traffic: Traffic) -> str:
    took = ""
    if isinstance(traffic.latency, Lognormal):
        took = f", half of the requests within {traffic.latency.median * 1000:g}ms"
    bursts = f" in bursts of {traffic.burst:.3g}" if traffic.burst > 1 else ""
    return (
        f"{traffic.rps:.4g} requests/s, {format_share(traffic.base_error)} fail anyway{bursts}{took}, "
        f"scraped every {traffic.scrape:g}s"
        + (f", testers add {traffic.testers:g}/s" if traffic.testers else "")
    )


def _rehearsals(plan: Plan) -> str:
    of_bad = f", {plan.of_bad} of each bad one" if len(plan.effects) > 1 else ""
    return f"{plan.runs} rehearsals of a good release{of_bad}"


def _good(plan: Plan, good: Forecast) -> Iterator[str]:
    took = Quantiles.of(run.took for run in good.promoted)
    if took is None:
        yield (
            f"A good release is not through after {lasting(patience(plan.spec).total_seconds())}: "
            f"{good.runs[0].reason}"
        )
    else:
        least = lasting(soaks(plan.spec).total_seconds())
        yield (
            f"A good release takes {lasting(took.median)}, 9 in 10 at most {lasting(took.p90)} "
            f"(all soaks together: {least})."
        )
    share, bound = good.chance()
    allowed = format_share(plan.spec.analysis.false_rollback_rate)
    found = f"{len(good.rolled_back)} of {len(good.runs)}" if share else f"None of {len(good.runs)}"
    yield (
        f"Rolled back by mistake: {found.lower()}, so the chance is below {bound * 100:.2g}% "
        f"({CONFIDENCE:.0%} sure); falseRollbackRate allows {allowed}."
    )
    if good.held:
        unfinished = sum(run.outcome is None for run in good.runs)
        stuck = f"; {unfinished} never went on" if unfinished else ""
        yield f"{percent(good.held)} of them were held for a human at some time{stuck}."
    else:
        yield "None was held for a human."


def _table(bad: Sequence[Forecast]) -> list[str]:
    head = [
        "CANDIDATE",
        "ROLLED BACK",
        "AFTER",
        "9 IN 10",
        "ITS REQUESTS",
        "9 IN 10",
        "USERS HARMED",
        "9 IN 10",
    ]
    rows = [head]
    for each in bad:
        cells: list[str] = []
        runs = each.rolled_back
        for of, write in ((_took, lasting), (_users, _counted), (_harmed, _counted)):
            found = Quantiles.of(of(run) for run in runs)
            cells += [write(found.median), write(found.p90)] if found else ["-", "-"]
        rows.append([each.effect.name, percent(each.caught), *cells])
    lines, _ = table(rows)
    return lines


def _unseen(bad: Sequence[Forecast]) -> Iterator[str]:
    missed = [each.effect.name for each in bad if each.unseen]
    if missed:
        yield f"Promoted more often than not, because there is no time to see it: {', '.join(missed)}."
        yield "Longer steps, more of them, or more traffic at the lower ones would show it."


def _bars(good: Forecast, bad: Sequence[Forecast]) -> list[str]:
    """Draw when the rollbacks happen, one line per candidate; the blocks stand for how many."""
    end = end_of(good, bad)
    label = max(len(each.effect.name) for each in bad)
    lines = []
    marks = [" "] * (_WIDTH + 6)
    for weight, at in weights_over_time(good.runs):
        column, text = min(round(at / end * _WIDTH), _WIDTH), f"{weight}%"
        if all(mark == " " for mark in marks[max(column - 1, 0) : column + len(text) + 1]):
            marks[column : column + len(text)] = text
    lines.append(f"{'weight':>{label}}  {''.join(marks)}".rstrip())
    counts = {each.effect.name: _histogram(each.rolled_back, end) for each in bad}
    most = max(1, *map(max, counts.values()))
    for name, columns in counts.items():
        lines.append(f"{name:>{label}} |{''.join(_BARS[math.ceil(each / most * 8)] for each in columns)}|")
    lines.append(f"{'':>{label}}  0s{lasting(end):>{_WIDTH - 2}}")
    return ["When it is rolled back, and how far a good version would be:", "", *lines]


def _histogram(runs: Sequence[Run], end: float) -> list[int]:
    columns = [0] * _WIDTH
    for run in runs:
        columns[min(int(run.took / end * _WIDTH), _WIDTH - 1)] += 1
    return columns


def _quantiles(values: Iterator[float] | Sequence[float]) -> dict[str, float] | None:
    found = Quantiles.of(values)
    return None if found is None else {"median": found.median, "p90": found.p90}


def _took(run: Run) -> float:
    return run.took


def _users(run: Run) -> float:
    return run.users


def _harmed(run: Run) -> float:
    return run.harmed


def _counted(number: float) -> str:
    return f"{number:,.0f}"
