from chaos.findings import Breach, Invariant
from chaos.records import Deed, What
from chaos.script import WORLD, Head, Script
from chaos.script import Deed as Planned
from chaos.telling import AFTER, MOST, shortened, told


def release(version: str, began: float, app: str = "shop-0") -> Deed:
    details = {"version": version, "trait": "bad", "deployment": f"echo-{version}"}
    return Deed(What.RELEASE, began, began + 0.1, app, details)


def fault(began: float, ended: float) -> Deed:
    return Deed(What.FAULT, began, ended, details={"part": "gloo", "kind": "killed"})


BREACH = Breach(Invariant.HARM, "shop-0", 100.0, "a bad version was promoted", "v2", ("status Promoted",))


def test_a_breach_is_told_with_what_was_done_to_its_release_and_broken_meanwhile() -> None:
    deeds = [
        fault(10, 20),
        release("v1", 30),
        fault(45, 55),
        release("v2", 50),
        release("v2", 60, app="shop-1"),
        fault(90, 95),
        fault(102, 103),
    ]
    first, *lines = told([BREACH], deeds)
    assert "a bad version was promoted" in first
    assert "status Promoted" in first
    assert [line.split(" s ")[1] for line in lines] == [
        'fault {"part": "gloo", "kind": "killed"}',
        'release {"version": "v2", "trait": "bad"}',
        'fault {"part": "gloo", "kind": "killed"}',
    ]


def test_a_breach_without_a_release_is_told_with_what_came_just_before() -> None:
    breach = Breach(Invariant.WEIGHTS, "shop-0", 100.0, "the weights are no percentages")
    deeds = [fault(10, 20), fault(80, 86), Deed(What.QUIET, 0, 200)]
    assert len([*told([breach], deeds)]) == 2


def test_many_breaches_and_deeds_are_counted_instead_of_told() -> None:
    deeds = [release("v2", 1.0), *(fault(each, each + 0.5) for each in range(2, 32))]
    lines = [*told([BREACH] * (MOST + 3), deeds)]
    assert lines[-1] == "and 3 more"
    assert lines[MOST + 1] == "    and 11 deeds before that"


SCRIPT = Script(
    Head(7, 5.0, ("shop-0", "shop-1"), pair=False),
    (
        Planned(WORLD, 10.0, "gloo"),
        Planned(WORLD, 40.0 + AFTER, "gloo"),
        Planned(WORLD, 41.0 + AFTER, "gloo"),
        Planned("shop-0", 1.0, "release"),
        Planned("shop-1", 1.0, "release"),
    ),
)
ADOPTED = Deed(What.APPLICATION, 59.0, 60.0, "shop-0")


def test_a_script_is_shortened_to_the_first_breach_and_its_application() -> None:
    short = shortened(SCRIPT, [BREACH], [ADOPTED])
    assert short is not None
    assert short.head == Head(7, (40 + AFTER) / 60, ("shop-0",), pair=False)
    assert short.deeds == (*SCRIPT.deeds[:2], SCRIPT.deeds[3])


def test_a_breach_that_is_nobodys_leaves_nothing_to_shorten() -> None:
    assert shortened(SCRIPT, [Breach(Invariant.FOREIGN, "gloo-system", 1.0, "!")], [ADOPTED]) is None
    assert shortened(SCRIPT, [BREACH], []) is None
