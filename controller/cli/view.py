"""A rollout on one screen, at 80 columns too: where it is, what was measured, and why. Pure."""

import datetime as dt

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.dispersion import ENOUGH
from config.canary import CanarySpec
from config.metrics import QueryMetric
from config.quantities import format_share
from config.status import MetricStatus, Outcome, Phase, Verdict
from controller.cli.reading import Canary, ExitCode, exit_code
from controller.cli.tables import short, why
from controller.rollout.situation import soak


BAR = 40
"""Characters."""
BURSTY = 1.5
"""Dispersion from which it is worth a remark."""
PAST = 3
"""How many ended rollouts are shown."""

_PHASES = {
    Phase.PROMOTED: "bold green",
    Phase.IDLE: "bold green",
    Phase.ROLLING_BACK: "bold red",
    Phase.ROLLED_BACK: "bold red",
}
_VERDICTS = {
    Verdict.SAFE: "green",
    Verdict.HARMFUL: "bold red",
    Verdict.UNDECIDED: "yellow",
    Verdict.BLIND: "magenta",
}
_OUTCOMES = {Outcome.PROMOTED: "green", Outcome.ROLLED_BACK: "red"}


def screen(canary: Canary, now: dt.datetime) -> RenderableType:
    """Show one Canary completely."""
    parts: list[RenderableType] = [_head(canary), _facts(canary, now)]
    if canary.status.metrics and not canary.at_rest:
        parts.append(_metrics(canary))
    if canary.status.history:
        parts.append(_history(canary, now))
    return Group(*(Padding(part, (0, 0, 1, 0)) for part in parts))


def line(canary: Canary) -> str:
    """Say it in one line, for logs: `Shifting 25% 3/5 Undecided: why`."""
    status = canary.status
    weight = f"{status.weight}%" if not canary.at_rest else ""
    words = (_phase(canary), weight, status.step, str(status.verdict or "") if not canary.at_rest else "")
    return " ".join(word for word in words if word) + f": {canary.sentence}"


def _phase(canary: Canary) -> str:
    return "Invalid" if canary.problem else str(canary.status.phase)


def _head(canary: Canary) -> Text:
    status = canary.status
    head = Text.assemble((str(canary.key), "bold"), "  ")
    head.append(_phase(canary), "bold red" if canary.problem else _PHASES.get(status.phase, "bold cyan"))
    if status.step:
        head.append(f"  step {status.step}")
    if status.candidate and status.stable and not canary.at_rest:
        head.append(f"  {status.stable.version} -> {status.candidate.version}", "dim")
    return head


def _facts(canary: Canary, now: dt.datetime) -> Table:
    status = canary.status
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for version, share, style in _shares(canary):
        facts.add_row(version, _bar(share, f"{share}%", style))
    if canary.spec and canary.spec.shadowing and status.phase is Phase.SHADOWING:
        facts.add_row(
            "copies", f"of {canary.spec.shadowing.percentage:g}% of the requests go to the candidate"
        )
    if status.weight_seen is not None and status.weight_seen != status.weight:
        facts.add_row("routes", Text(f"give the candidate {status.weight_seen}%", "yellow"))
    if canary.spec and (soaking := _soak(canary, canary.spec, now)):
        facts.add_row("soak", soaking)
    if status.verdict and not canary.at_rest:
        facts.add_row("verdict", Text(str(status.verdict), _VERDICTS[status.verdict]))
    if status.held:
        style = "bold yellow" if status.held.needs_human else "yellow"
        held = Text.assemble((str(status.held.reason), style), f" for {short(now - status.held.since)}")
        facts.add_row("held", held)
    facts.add_row("why", Text(canary.sentence, "red" if canary.problem else ""))
    if status.would_have and not canary.at_rest:
        facts.add_row("dry run", Text(status.would_have, "yellow"))
    if exit_code(canary) is ExitCode.NEEDS_HUMAN and (advice := _advice(canary)):
        facts.add_row("next", Text(advice, "bold"))
    return facts


def _shares(canary: Canary) -> list[tuple[str, int, str]]:
    status = canary.status
    stable = status.stable.version if status.stable else "stable"
    if status.candidate is None or canary.at_rest:
        return [(stable, 100, "green")] if status.stable else []
    weight = status.weight
    return [(stable, 100 - weight, "green"), (status.candidate.version, weight, "cyan")]


def _bar(percent: float, label: str, style: str) -> Text:
    filled = round(BAR * min(100.0, max(0.0, percent)) / 100)
    if percent > 0:
        filled = max(1, filled)
    return Text.assemble(("█" * filled, style), ("░" * (BAR - filled), "dim"), f" {label}")


def _soak(canary: Canary, spec: CanarySpec, now: dt.datetime) -> Text | None:
    status = canary.status
    wanted = soak(spec, status)
    if not wanted or canary.at_rest or status.phase is Phase.ROLLING_BACK:
        return None
    if status.step_started_at is None:
        return _bar(0, f"waiting for Gloo, then {short(wanted)}", "blue")
    gone = max(dt.timedelta(0), min(now - status.step_started_at, wanted))
    return _bar(100 * (gone / wanted), f"{short(gone)} of {short(wanted)}", "blue")


def _advice(canary: Canary) -> str:
    held, at = canary.status.held, f"{canary.key.name} -n {canary.key.namespace}"
    match held.reason if held else None:
        case "AwaitingApproval":
            return f"crossfade approve {at}"
        case "Paused" if canary.status.paused:
            return f"crossfade resume {at}"
        case "Paused":
            return "set spec.paused to false"
        case "Drift":
            return f"find out who changes the routes, then crossfade resume {at}"
        case "Stopped":
            return "kubectl delete the ConfigMap named above, once every release may go on"
        case "NotAccepted" if canary.status.refusal:
            return f"put it right, then crossfade resume {at}"
        case _:
            return ""


def _metrics(canary: Canary) -> Table:
    shown = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for name in ("METRIC", "CANDIDATE", "STABLE", "LIMIT", "REQUESTS", "ODDS", "VERDICT"):
        shown.add_column(name, overflow="fold", justify="right" if name in _NUMBERS else "left")
    for metric in canary.status.metrics:
        share = _is_share(canary.spec, metric)
        style = _VERDICTS[metric.verdict]
        shown.add_row(
            metric.name,
            Text(_value(metric.value, share=share), style),
            _value(metric.stable_value, share=share),
            metric.limit,
            _requests(canary.spec, metric) if share else "",
            _odds(metric.odds),
            Text(str(metric.verdict), style),
        )
    notes = Table.grid(padding=(0, 2))
    notes.add_column(style="dim", no_wrap=True)
    notes.add_column(overflow="fold")
    for metric in canary.status.metrics:
        notes.add_row(metric.name, f"{metric.message}{_remark(metric)}")
    both = Table.grid()
    both.add_row(shown)
    both.add_row(Padding(notes, (1, 0, 0, 0)))
    return both


_NUMBERS = {"CANDIDATE", "STABLE", "REQUESTS", "ODDS"}


def _is_share(spec: CanarySpec | None, metric: MetricStatus) -> bool:
    named = [each for each in spec.analysis.metrics if each.name == metric.name] if spec else []
    return not isinstance(named[0], QueryMetric) if named else metric.requests > 0


def _value(value: float | None, *, share: bool) -> str:
    if value is None:
        return "-"
    return format_share(value) if share else f"{value:.6g}"


def _odds(odds: float | None) -> str:
    """Show the strongest evidence of harm: `812:1` for, `1:30` against it."""
    if not odds:
        return ""
    return f"{odds:,.0f}:1" if odds >= 1 else f"1:{1 / odds:,.0f}"


def _remark(metric: MetricStatus) -> str:
    if metric.would_roll_back_at is not None:
        return f" (dry run: would have rolled back at {metric.would_roll_back_at:%H:%M} UTC)"
    if metric.dry_run:
        return " (dry run)"
    if metric.dispersion is not None and metric.dispersion >= BURSTY:
        young = metric.tests and any(each.dispersion.windows < ENOUGH for each in metric.tests.comparisons)
        because = "stable is hardly known yet" if young else "stable's come in bursts"
        return f" ({because}, dispersion {metric.dispersion:g}: evidence counts for less)"
    return ""


def _requests(spec: CanarySpec | None, metric: MetricStatus) -> str:
    wanted = f"/{spec.analysis.min_requests}" if spec else ""
    return f"{metric.requests}{wanted}"


def _history(canary: Canary, now: dt.datetime) -> Table:
    past = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    past.add_column("BEFORE", no_wrap=True)
    past.add_column("OUTCOME", no_wrap=True)
    past.add_column("UP TO", no_wrap=True, justify="right")
    past.add_column("ENDED", no_wrap=True)
    past.add_column("REASON", overflow="fold")
    for entry in canary.status.history[:PAST]:
        outcome = Text(str(entry.outcome), _OUTCOMES.get(entry.outcome, ""))
        ago = f"{short(now - entry.ended_at)} ago"
        past.add_row(entry.revision.version, outcome, f"{entry.highest_weight}%", ago, why(entry))
    return past
