"""`crossfade plan`: what a Canary would do to good and bad releases, before there are any."""

import contextlib
import datetime as dt
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from analysis.prometheus import Prometheus
from config.canary import Canary, CanarySpec
from config.quantities import parse_share
from config.settings import load_settings
from controller.cli.files import canary_in
from controller.cli.forecasts import as_document, as_text
from controller.cli.get import DataFormat, as_data
from controller.cli.picture import picture
from controller.cli.progress import progress
from controller.cli.reading import ExitCode
from controller.cli.session import CommandError, duration
from controller.clock import SystemClock
from controller.rehearsal.forecast import SLOWDOWNS, Plan, affordable, impossible
from controller.rehearsal.past import Found, NothingFoundError, look_back, subject_of, versions
from controller.rehearsal.traffic import Lognormal, Traffic


_SLOWDOWN = re.compile(r"(?:(?P<share>[\d.]+%):)?(?P<times>\d+(?:\.\d+)?)x?")
_P99 = 5.0
"""Times the median, where only that is known."""
_MOST_WORKERS = 8
_WORTH = 250
"""Rehearsals for which another process pays."""


def plan(  # noqa: PLR0913  # as many as there are options
    *,
    file: Annotated[
        str, typer.Option("--file", "-f", metavar="FILE", help="With Canaries; - for standard input.")
    ],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which Canary of the file; default: the only one.")
    ] = None,
    rps: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Users' requests per second, all versions.")
    ] = None,
    base_error: Annotated[
        str | None, typer.Option(metavar="SHARE", help="Share of requests that fail anyway; default: 0.1%.")
    ] = None,
    base_latency_median: Annotated[
        str | None,
        typer.Option(metavar="DURATION", help="Half of the requests take at most this; default: 60ms."),
    ] = None,
    base_latency_p99: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION", help="99 of 100 requests take at most this; default: 5 times the median."
        ),
    ] = None,
    burst: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Failures come in rows of this mean length.")
    ] = None,
    slowdown: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TIMES", help="Also try 2x (all requests), or 5%:10x (of 5 in 100); default: both."
        ),
    ] = None,
    testers_rps: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Testers' requests per second; default: 1 if testing.requests wants any, else 0.",
        ),
    ] = None,
    scrape: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Between two scrapes of a pod; default: 15s.")
    ] = None,
    prometheus: Annotated[
        str | None, typer.Option(metavar="URL", help="Read the traffic's numbers from there.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="How far to look back with --prometheus.")
    ] = "7d",
    version: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION", help="Whose past; default: spec.workload.stable, or the only one there is."
        ),
    ] = None,
    runs: Annotated[
        int | None,
        typer.Option(
            min=10,
            max=100_000,
            help="Rehearsals of a good release, and twice those of each bad one; default: 200, "
            "fewer of a long rollout.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="The same seed gives the same figures.")] = 1,
    output: DataFormat = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw a picture into this file.")
    ] = None,
) -> int:
    """Say what a Canary would do to good and bad releases.

    Rehearses the rollout many times with the very code of the controller on simulated traffic: how long until
    a candidate with more errors, or a slower one, is rolled back, how many users it would have harmed
    by then, what would not be seen in time, and how a good release fares. Needs no cluster.
    """
    if svg is not None and not svg.parent.is_dir():
        raise CommandError(f"{svg}: no such folder")
    canary = canary_in(file, name)
    title = f"{canary.metadata.namespace}/{canary.metadata.name}"
    traffic = Traffic(rps or 1.0, testers=_testers(canary.spec, testers_rps))
    notes: tuple[str, ...] = ()
    if prometheus is not None:
        found = _found(canary, prometheus, dt.timedelta(seconds=_seconds("--since", since)), version)
        traffic, notes = replace(found.traffic, testers=traffic.testers), found.notes
    elif rps is None:
        raise typer.BadParameter("say --rps, or --prometheus to read it from there")
    if rps is not None:
        traffic = replace(traffic, rps=_positive("--rps", rps))
    traffic = _told(traffic, _Told(base_error, base_latency_median, base_latency_p99, burst, scrape))
    if problem := impossible(canary.spec, traffic):
        raise CommandError(problem)
    planned = Plan(canary.spec, traffic, runs or affordable(canary.spec), seed, _slowdowns(slowdown))
    total = planned.runs + planned.of_bad * (len(planned.effects) - 1)
    with progress("rehearsing") as on_progress:
        forecasts = planned.carry_out(_workers(total), on_progress)
    if svg is not None:
        _write(svg, picture(title, planned, forecasts))
    if output is not None:
        typer.echo(as_data(as_document(title, planned, forecasts), output))
    else:
        typer.echo(as_text(title, planned, forecasts))
        for note in notes:
            typer.echo(f"note: {note}")
    return ExitCode.OK


@dataclass(frozen=True, slots=True)
class _Told:
    """What the command line says about the traffic; None: it does not."""

    base_error: str | None
    median: str | None
    p99: str | None
    burst: float | None
    scrape: str | None


def _told(traffic: Traffic, told: _Told) -> Traffic:
    """Let the command line win over what was found or is usual."""
    if told.base_error is not None:
        traffic = replace(traffic, base_error=_share("--base-error", told.base_error))
    if told.burst is not None:
        if not 1 <= told.burst <= 1000:
            raise typer.BadParameter(f"--burst: found {told.burst:g}; 1 to 1000, 1: each failure by itself")
        traffic = replace(traffic, burst=told.burst)
    if told.scrape is not None:
        traffic = replace(traffic, scrape=_seconds("--scrape", told.scrape))
    if told.median is not None or told.p99 is not None:
        traffic = replace(traffic, latency=_latency(told.median or "60ms", told.p99))
    return traffic


def _latency(median: str, p99: str | None) -> Lognormal:
    half = _seconds("--base-latency-median", median)
    most = half * _P99 if p99 is None else _seconds("--base-latency-p99", p99)
    if most <= half:
        raise typer.BadParameter(f"--base-latency-p99: found {p99}; more than the median of {half:g}s")
    return Lognormal(half, most)


def _found(canary: Canary, url: str, since: dt.timedelta, version: str | None) -> Found:
    settings = load_settings(prometheus_url=url)
    now, spec = SystemClock().now(), canary.spec
    name, namespace = canary.metadata.name, canary.metadata.namespace
    client = Prometheus(
        settings.prometheus_url or url, settings.prometheus_timeout, access=settings.prometheus_access
    )
    with contextlib.closing(client) as asked:
        try:
            chosen = version or spec.workload.stable
            if chosen is None:
                known = versions(asked, spec, subject_of(spec, name, namespace, "", ""), now)
                if len(known) != 1:
                    raise CommandError(
                        f"say whose past with --version; there are: {', '.join(known) or 'none'}"
                    )
                chosen = known[0]
            subject = subject_of(spec, name, namespace, chosen, f"{name}-{chosen}")
            return look_back(asked, spec, subject, now, since)
        except NothingFoundError as error:
            raise CommandError(str(error)) from error


def _slowdowns(given: list[str] | None) -> tuple[tuple[float, float], ...]:
    return tuple(map(_slowdown, given)) if given else SLOWDOWNS


def _slowdown(text: str) -> tuple[float, float]:
    match = _SLOWDOWN.fullmatch(text)
    if match is None or float(match["times"]) <= 1:
        raise typer.BadParameter(f"--slowdown: found {text!r}; like 2x, or 5%:10x for 5 in 100 requests")
    return (_share("--slowdown", match["share"]) if match["share"] else 1.0), float(match["times"])


def _share(option: str, text: str) -> float:
    if text.strip("%") in {"0", "0.0"}:
        return 0.0
    try:
        return parse_share(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise typer.BadParameter(f"{option}: {error}") from None


def _positive(option: str, value: float) -> float:
    if not 0 < value < 1e9:
        raise typer.BadParameter(f"{option}: found {value:g}; more than 0 is needed")
    return value


def _seconds(option: str, text: str) -> float:
    return _positive(option, duration(text, option).total_seconds())


def _testers(spec: CanarySpec, told: float | None) -> float:
    if told is None:
        return 1.0 if spec.testing and spec.testing.requests else 0.0
    return 0.0 if told == 0 else _positive("--testers-rps", told)


def _workers(rehearsals: int) -> int:
    return min(os.cpu_count() or 1, _MOST_WORKERS, 1 + rehearsals // _WORTH)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}") from error
