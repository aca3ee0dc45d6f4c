"""From a number to a script: who releases what, which humans come between, and what breaks meanwhile.

Pure: no clock, no I/O. Each lane rolls dice of its own, seeded by the run's seed and the lane's name.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from chaos.estate import number_of, shape_of
from chaos.script import WORLD, Deed, Details, Head, Script


QUICKEST = 15.0
"""Seconds that a release takes at least: more of them than that are not written down."""
TRAITS = {"good": 11, "bad": 5, "slow": 2, "crashing": 2, "never-ready": 2}
HUMANS = {
    "nobody": 12,
    "pause": 2,
    "abort": 2,
    "promote": 1,
    "promote-full": 1,
    "edit-canary": 2,
    "edit-routes": 3,
    "apply-from-git": 2,
    "supersede": 2,
}
"""What comes between a release and its end, and how often."""
FAULTS = {"api": 6, "apiserver": 3, "prometheus": 3, "gloo": 3, "controller": 5, "stop": 1}
TYPED = 0.3
"""Share of the orders that are given with the command line; the others by an annotation, as a script does."""
BREATHER = 5.0
"""Mean seconds from one fault to the next one in a storm."""
CALM = 40.0
"""Seconds between two storms, so that it can be told how soon what is decided is done."""
SETTLED = 0.15
"""How likely a fault is the last one of its storm."""
STORMS: Sequence[dict[str, Any]] = (
    {"fault": "delay", "seconds": 0.7, "chance": 0.3},
    {"fault": "delay", "seconds": 3.0, "chance": 0.1},
    {"fault": "answer", "code": 409, "verb": "write", "chance": 0.4},
    {"fault": "answer", "code": 429, "retryAfter": 1, "chance": 0.3},
    {"fault": "answer", "code": 500, "chance": 0.4},
    {"fault": "answer", "code": 503, "chance": 0.4},
    {"fault": "reset", "chance": 0.3},
    {"fault": "lose", "verb": "write", "chance": 0.4},
    {"fault": "drop", "seconds": 0.5, "chance": 0.7},
    {"fault": "expire", "chance": 0.5},
)
"""What the API server may do to the controller."""


def write(head: Head) -> Script:
    """Give the script that follows from a seed; the same one each time."""
    deeds = [*_world(head)]
    for name in head.applications:
        deeds += _application(name, head, latency=shape_of(number_of(name)).latency)
    return Script(head, tuple(deeds))


def dice(head: Head, lane: str) -> Random:
    """Give the dice of one lane."""
    return Random(f"{head.seed}/{lane}")  # noqa: S311  # no secret


def _world(head: Head) -> Iterator[Deed]:
    """Break one part at a time, or several, but none that is broken already."""
    random = dice(head, WORLD)
    busy = dict.fromkeys(FAULTS, 0.0)
    at, end = 5.0, head.minutes * 60
    while at < end - 10:
        part = _chosen(random, FAULTS)
        if busy[part] <= at:
            details = _fault(part, random, pair=head.pair)
            busy[part] = at + details["seconds"] + 3
            yield Deed(WORLD, round(at, 2), part, details)
        at += CALM if random.random() < SETTLED else random.expovariate(1 / BREATHER)


def _fault(part: str, random: Random, *, pair: bool) -> dict[str, Any]:
    seconds = round(random.uniform(1, 7), 2)
    match part:
        case "api":
            chosen = random.sample(STORMS, random.choice((1, 1, 2, 3)))
            return {
                "seconds": seconds,
                "faults": [{**each, "seed": random.randrange(1000)} for each in chosen],
            }
        case "stop":
            return {"seconds": seconds}
        case "controller":
            how = random.choice(("killed", "killed", "frozen", "stopped"))
            which = random.randrange(2) if pair else 0
            seconds = seconds if how == "frozen" else round(random.uniform(0, 2), 2)
            return {"seconds": seconds, "how": how, "which": which}
        case _:
            seconds = round(random.uniform(0.5, 4), 2)
            return {"seconds": seconds, "how": random.choice(("killed", "stopped", "frozen"))}


def _application(name: str, head: Head, *, latency: bool) -> Iterator[Deed]:
    random = dice(head, name)
    traits = {trait: weight for trait, weight in TRAITS.items() if latency or trait != "slow"}
    superseding = False
    for number in range(2, 2 + int(head.minutes * 60 / QUICKEST)):
        trait = _chosen(random, traits)
        human = _chosen(random, HUMANS)
        if human in {"abort", "promote", "promote-full", "supersede"} and trait != "good":
            human = "nobody"
        details = {"version": f"v{number}", **_behaviour(trait, random), "supersedes": superseding}
        after = random.uniform(2, 12) if superseding else random.uniform(0, 3)
        yield Deed(name, round(after, 2), "release", details)
        superseding = human == "supersede"
        for seconds, do, what in _between(human, random):
            yield Deed(name, round(seconds, 2), do, what)


def _behaviour(trait: str, random: Random) -> dict[str, Any]:
    """Give a trait, and the arguments that make the demo application have it."""
    match trait:
        case "bad":
            arguments = ["--error-rate=0.05"]
        case "slow":
            arguments = ["--latency=0.5"]
        case "crashing":
            arguments = [f"--crash-after={random.uniform(1, 4):.1f}"]
        case "never-ready":
            arguments = ["--never-ready"]
        case _:
            arguments = []
    return {"trait": trait, "arguments": [*arguments, f"--seed={random.randrange(1000)}"]}


def _between(human: str, random: Random) -> Iterator[tuple[float, str, Details]]:
    """Give what a human does after a release: seconds, what, and how."""
    soon, typed = random.uniform(2, 14), random.random() < TYPED
    match human:
        case "pause":
            yield soon, "order", {"do": "pause", "typed": typed}
            yield random.uniform(2, 6), "order", {"do": "resume", "typed": typed}
        case "abort":
            yield soon, "order", {"do": "abort", "typed": typed}
            if random.random() < 0.5:
                yield random.uniform(0, 2), "retry", {}
        case "promote" | "promote-full":
            yield soon, "order", {"do": human, "typed": typed}
        case "edit-canary":
            how = random.choice(("steps", "interval", "annotation"))
            steps = sorted(random.sample(range(20, 90, 10), random.choice((1, 2))))
            yield soon, "edit-canary", {"how": how, "steps": steps}
        case "edit-routes":
            yield soon, "edit-routes", {"how": random.choice(("label", "annotation", "route", "git"))}
        case "apply-from-git":
            yield soon, "apply-from-git", {}
        case _:
            return


def _chosen(random: Random, weights: dict[str, int]) -> str:
    return random.choices([*weights], [*weights.values()])[0]
