"""`python -m chaos --seed 7 --minutes 5`: everything goes wrong, and a referee says whether users noticed."""

import argparse
import resource
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from chaos.estate import name_of
from chaos.plot import write
from chaos.records import deeds
from chaos.referee import examine
from chaos.script import Head, Script
from chaos.stage import SCRIPT, StageError, Wish, play
from chaos.telling import shortened, told
from sandbox import clock
from sandbox.cluster import SandboxError


COMMAND = "python -m chaos"


def main(arguments: Sequence[str]) -> int:
    """Run it; give the exit code: 0 if no invariant was breached, 1 if one was, 2 if it could not be run."""
    options = _parser().parse_args(arguments)
    try:
        script = _script(options)
    except (OSError, ValueError) as error:
        print(f"{options.replay}: {error}", file=sys.stderr)
        return 2
    if options.show:
        print(*script.lines(), sep="\n")
        return 0
    folder = options.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        wrong = play(script, Wish(folder, options.rollouts, _say))
    except (SandboxError, StageError) as error:
        print(f"the run could not be set up: {error}; see {folder}", file=sys.stderr)
        return 2
    if _judged(folder, wrong, script):
        return 1
    if not options.keep:
        shutil.rmtree(folder)
    return 0


def _judged(folder: Path, wrong: Sequence[str], script: Script) -> bool:
    """Tell what the referee found; say whether anything is wrong."""
    _say("the referee reads")
    report = examine(folder)
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    processor = sum(each.ru_utime + each.ru_stime for each in used)
    print(*report.figures.lines(), f"{processor:.0f} s of processor time", sep="\n")
    if not wrong and not report.breaches:
        print("no breach")
        return False
    print(f"\n{len(report.breaches) + len(wrong)} breaches:")
    done = deeds(folder)
    print(*wrong, *told(report.breaches, done), sep="\n")
    print(f"\nall that is known of it is in {folder}; once more: {COMMAND} --replay {folder / SCRIPT}")
    if short := shortened(script, report.breaches, done):
        trace = folder / "short.jsonl"
        trace.write_text("".join(f"{line}\n" for line in short.lines()))
        print(f"only what concerns the first breach: {COMMAND} --replay {trace}")
    return True


def _say(text: str) -> None:
    print(f"{clock.timestamp(clock.now())} {text}", flush=True)


def _script(options: argparse.Namespace) -> Script:
    if options.replay:
        return Script.read(options.replay.read_text())
    names = tuple(map(name_of, range(options.applications)))
    return write(Head(options.seed, options.minutes, names, pair=options.seed % 2 == 0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="all that happens follows from it")
    parser.add_argument("--minutes", type=float, default=5.0, help="of chaos; the quiet end comes on top")
    parser.add_argument("--applications", type=int, default=6, help="that are released side by side")
    parser.add_argument("--rollouts", type=int, help="end as soon as so many are over")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave all records there")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="let this script happen once more")
    parser.add_argument("--show", action="store_true", help="print the script, and do nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
