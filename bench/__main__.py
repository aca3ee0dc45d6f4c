"""`make bench`: measure, print, and write docs/benchmarks.md. `python -m bench rules`: only that table."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.cost import Advancing, Idle, advancing, idle
from bench.detection import Detection, detections
from bench.rules import Sizes, placed, section
from config.crd import as_yaml
from releases import CROSSFADE, Application, Controller
from sandbox.cluster import Cluster


PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
SIZES = (10, 100, 300)
WEIGHTS = (5, 20, 50)
QUICK = Sizes(equal=4, bad=2)
INTRODUCTION = """\
# Benchmarks

Counts and ratios, measured by `make bench`, on the sandbox unless it says simulated; \
absolute times prove nothing on a shared machine.
"""


def main(arguments: Sequence[str] = ()) -> None:
    """Measure everything, or what is named; print it, and write it into the page unless it is --quick."""
    quick = "--quick" in arguments
    if "rules" in arguments or quick:
        part = section(QUICK if quick else Sizes())
        print(part)
        if not quick:
            PAGE.write_text(placed(PAGE.read_text(), part))
        return
    text = placed(_on_the_sandbox(), section(Sizes()))
    PAGE.write_text(text)
    print(text)


def _on_the_sandbox() -> str:
    idles = [idle(size) for size in SIZES]
    with tempfile.TemporaryDirectory() as name, Cluster(Path(name) / "cluster") as cluster:
        _kubectl(cluster, "apply", "-f", "-", stdin=as_yaml())
        with Controller(cluster.kubeconfig, cluster.prometheus, Path(name)) as controller:
            controller.wait_until_started()
            good = _application(cluster, "good")
            good.adopted()
            advance = advancing(good, controller)
            found = [
                detection
                for weight in WEIGHTS
                for detection in detections(_application(cluster, f"bad-{weight}"), weight)
            ]
    return "\n".join([INTRODUCTION, *_idle(idles), *_advancing(advance), *_detections(found)]) + "\n"


def _idle(idles: list[Idle]) -> Iterator[str]:
    yield "## Idle Canaries\n"
    yield "Made to look, an idle Canary asks nobody: everything it looks at is watched.\n"
    yield "| Canaries | lists and watches to begin with | ticks | reads | writes | relative time per tick |"
    yield "|---|---|---|---|---|---|"
    for each in idles:
        opening, reads, writes = (sum(kinds.values()) for kinds in (each.opening, each.reads, each.writes))
        relative = each.processor / idles[0].processor
        yield f"| {each.canaries} | {opening} | {each.ticks} | {reads} | {writes} | {relative:.1f} |"


def _advancing(found: Advancing) -> Iterator[str]:
    yield "\n## One release, from the new Deployment to the end of the old one\n"
    yield "| ticks | reads | writes | most writes in a tick | evaluations | requests to Prometheus |"
    yield "|---|---|---|---|---|---|"
    reads, writes = sum(found.reads.values()), sum(found.writes.values())
    counts = (found.ticks, reads, writes, found.most_writes, found.evaluations, found.queries)
    yield f"| {' | '.join(map(str, counts))} |"


def _detections(found: list[Detection]) -> Iterator[str]:
    yield "\n## From the first failed request to weight 0\n"
    yield "As a multiple of the floor: one scrape, one evaluation and one patch."
    yield "One failed request proves nothing: where few requests fail, the time goes into waiting for more.\n"
    yield "| weight | errors | failed requests | times the floor |"
    yield "|---|---|---|---|"
    for each in found:
        yield f"| {each.weight}% | {each.error_rate:.0%} | {each.failed} | {each.floors:.1f} |"


def _application(cluster: Cluster, namespace: str) -> Application:
    application = Application(
        cluster, lambda *words, stdin=None: _kubectl(cluster, *words, stdin=stdin), namespace
    )
    _kubectl(cluster, "create", "namespace", namespace)
    return application


def _kubectl(cluster: Cluster, *arguments: str, stdin: str | None = None) -> str:
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    command = [str(CROSSFADE.with_name("kubectl")), *arguments]
    return subprocess.run(  # noqa: S603  # our own command line
        command, env=environment, input=stdin, capture_output=True, text=True, check=True
    ).stdout


if __name__ == "__main__":
    main(sys.argv[1:])
