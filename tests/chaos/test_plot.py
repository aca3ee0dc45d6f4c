import dataclasses
import json
from collections import Counter

import pytest

from chaos.estate import ENOUGH, SHAPES, Document, Estate
from chaos.plot import FAULTS, HUMANS, STORMS, TRAITS, write
from chaos.script import WORLD, Head, Script
from config.canary import Canary


APPLICATIONS = tuple(f"shop-{number}" for number in range(len(SHAPES)))
HEAD = Head(seed=7, minutes=5, applications=APPLICATIONS, pair=True)


def test_a_seed_tells_one_story_and_another_seed_another_one() -> None:
    assert write(HEAD) == write(HEAD)
    assert write(HEAD).deeds != write(dataclasses.replace(HEAD, seed=8)).deeds


def test_what_happens_to_one_application_does_not_depend_on_the_others() -> None:
    fewer = write(dataclasses.replace(HEAD, applications=APPLICATIONS[:2]))
    for lane in (WORLD, *APPLICATIONS[:2]):
        assert write(HEAD).lane(lane) == fewer.lane(lane)


def test_a_script_is_read_as_it_was_written() -> None:
    script = write(HEAD)
    assert Script.read("\n".join(script.lines())) == script


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1 is no head of a chaos script"),
        ("{}", "line 1 is no head of a chaos script"),
        ('{"seed": 1, "minutes": 1, "applications": [], "pair": false}\n[]', "line 2 is no deed"),
        ('{"seed": 1, "minutes": 1, "applications": [], "pair": false}\n{"lane": "x"}', "line 2 is no deed"),
    ],
)
def test_what_is_no_script_is_refused_by_line(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Script.read(text)


def test_no_part_is_broken_while_it_is_broken_already() -> None:
    until: dict[str, float] = {}
    for deed in write(dataclasses.replace(HEAD, minutes=60)).lane(WORLD):
        assert until.get(deed.do, 0.0) < deed.after
        until[deed.do] = deed.after + deed.details["seconds"]
    assert until.keys() == FAULTS.keys()


def test_one_controller_alone_is_never_told_to_be_another() -> None:
    lonely = write(dataclasses.replace(HEAD, pair=False, minutes=60))
    assert {deed.details["which"] for deed in lonely.lane(WORLD) if deed.do == "controller"} == {0}


def test_everything_there_is_happens_some_day() -> None:
    long = write(dataclasses.replace(HEAD, minutes=120))
    releases = [deed for deed in long.deeds if deed.do == "release"]
    assert {deed.details["trait"] for deed in releases} == TRAITS.keys()
    assert {deed.details["supersedes"] for deed in releases} == {True, False}
    assert {deed.do for deed in long.deeds} - FAULTS.keys() == {
        *("release", "order", "retry", "edit-canary", "edit-routes", "apply-from-git")
    }
    orders = {deed.details["do"] for deed in long.deeds if deed.do == "order"}
    assert orders == {"pause", "resume", "abort", "promote", "promote-full"} <= {*HUMANS, "resume"}
    storms = [fault for deed in long.lane(WORLD) for fault in deed.details.get("faults", ())]
    assert {_without_seed(fault) for fault in storms} == {json.dumps(each) for each in STORMS}


def test_nobody_is_asked_to_promote_what_is_bad() -> None:
    for name in APPLICATIONS:
        trait = ""
        for deed in write(dataclasses.replace(HEAD, minutes=60)).lane(name):
            trait = deed.details.get("trait", trait)
            if deed.do == "order" and deed.details["do"].startswith("promote"):
                assert trait == "good"


def test_every_shape_is_a_canary_that_asks_for_enough_requests_three_times() -> None:
    for number in range(len(SHAPES)):
        estate = Estate("shop", number)
        spec = Canary.model_validate(estate.canary()).spec
        assert spec.analysis.min_requests == ENOUGH
        measured = len(spec.ladder()) + bool(spec.baking.duration) + (spec.shadowing is not None)
        assert measured >= 3, estate.shape.name
        if estate.shape.latency:
            assert "http-latency" in json.dumps(estate.canary())


def test_slow_versions_are_released_only_where_somebody_looks() -> None:
    for number, name in enumerate(APPLICATIONS):
        traits = Counter(
            deed.details["trait"]
            for deed in write(dataclasses.replace(HEAD, minutes=60)).lane(name)
            if deed.do == "release"
        )
        assert bool(traits["slow"]) == Estate(name, number).shape.latency, name


def _without_seed(fault: Document) -> str:
    return json.dumps({key: value for key, value in fault.items() if key != "seed"})
