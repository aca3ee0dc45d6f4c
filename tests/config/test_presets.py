"""The presets of a platform: what its settings may say, and what people get wrong there."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.presets import PRESETS, presets_named_in, sound_presets
from config.settings import SettingsError, differing, load_settings


RATIO = {"ratio": {"bad": 'failed{v="{{ version }}"}', "total": 'served{v="{{ version }}"}'}, "max": "1%"}
OF_TEAM = {"query": 'max(queue{team="{{ team }}"})', "max": 5}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CROSSFADE_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def complaints(path: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(str(path))
    return str(caught.value).replace(f"{path}:", "").split("; ")


def test_the_file_and_the_variable_say_the_same(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = {"shop-errors": RATIO, "queue": OF_TEAM}
    settings.write_text(yaml.safe_dump({"presets": presets}))
    assert load_settings(str(settings)).presets == presets
    monkeypatch.setenv("CROSSFADE_PRESETS", json.dumps(presets))
    assert load_settings().presets == presets


def test_every_fault_is_told_with_its_line(settings: Path) -> None:
    settings.write_text(
        "presets:\n"
        "  http-errors: {query: up, min: 1}\n"
        "  Shop: {query: up, min: 1}\n"
        "  errors:\n"
        "    ratio:\n"
        "      bad: rate(failed[1m])\n"
        "      totl: served\n"
        "    max: 5\n"
        "workers: 0\n"
    )
    said = complaints(settings)
    assert said[0] == "9:1: workers: found 0"
    told = [each for each in said if "presets" in each]
    assert told == [
        "2:3: presets.http-errors: is built in and stays as it is",
        "3:3: presets.Shop: found 'Shop'",
        "6:7: presets.errors.ratio.bad: found rate()",
        "5:5: presets.errors.ratio.total: required",
        "7:7: presets.errors.ratio.totl: unknown field",
        "8:5: presets.errors.max: found 5",
    ]


@pytest.mark.parametrize(
    ("presets", "said"),
    [
        pytest.param([], "1:1: presets: found an empty list", id="a list"),
        pytest.param({"queue": 5}, "1:11: presets.queue: found 5", id="a number"),
        pytest.param({"queue": {"preset": "x"}}, "1:11: presets.queue: found preset", id="another preset"),
        pytest.param({"queue": {"query": "up"}}, "1:11: presets.queue: say max, min or both", id="no bound"),
        pytest.param(
            {"queue": {"name": "x", **OF_TEAM}}, "1:21: presets.queue.name: unknown field", id="its own name"
        ),
        pytest.param(
            {"q" * 64: OF_TEAM}, f"1:11: presets.{'q' * 64}: found '{'q' * 56}...", id="a name too long"
        ),
    ],
)
def test_what_is_no_metric_is_refused(settings: Path, presets: object, said: str) -> None:
    settings.write_text(f"presets: {json.dumps(presets)}")
    assert complaints(settings)[0] == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "CROSSFADE_PRESETS: found broken JSON; presets look like {shop-errors: "),
        ("5", "CROSSFADE_PRESETS: found 5; presets look like {shop-errors: "),
        ('{"queue": {"query": 5, "max": 1}}', "CROSSFADE_PRESETS: queue.query: found 5; text is needed"),
    ],
)
def test_what_is_wrong_in_the_variable_names_it(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("CROSSFADE_PRESETS", text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert str(caught.value).startswith(said)


def test_a_changed_preset_is_a_difference() -> None:
    one = load_settings(presets={"queue": OF_TEAM})
    assert differing(one, load_settings(presets={"queue": {**OF_TEAM, "max": 6}})) == ("presets",)
    assert differing(one, load_settings(presets={"queue": dict(OF_TEAM)})) == ()


def test_what_is_built_in_would_pass_under_another_name() -> None:
    renamed = {f"our-{name}": metric for name, metric in PRESETS.items()}
    assert sound_presets(renamed) == renamed


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({"analysis": {"metrics": [{"preset": "a"}, {"query": "up"}, {"preset": "b"}]}}, {"a", "b"}),
        ({"analysis": {"metrics": [5, {"preset": 5}, {"preset": ["a"]}]}}, set()),
        ({"analysis": {"metrics": None}}, set()),
        ({"analysis": {"metrics": 5}}, set()),
        ({"analysis": 5}, set()),
        ({}, set()),
    ],
)
def test_the_presets_that_a_spec_names_are_found_in_whatever_is_stored(
    spec: dict[str, Any], names: set[str]
) -> None:
    assert presets_named_in(spec) == names
