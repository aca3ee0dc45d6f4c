import datetime as dt
from typing import Any

import pytest

from analysis.lineage import (
    Appearance,
    NoHistoryError,
    Sighting,
    Stretch,
    appearances,
    lineage,
    look_back,
    stretches,
)
from analysis.samples import Answer, Failure, Sample
from metrics import NOW, SUBJECT, analysis, errors, latency, saturation
from told import Teller, always


STEP = dt.timedelta(minutes=10)


def ratio(total: str) -> dict[str, Any]:
    return errors(ratio={"bad": 'bad{version="{{ version }}"}', "total": total})


def at(number: int) -> dt.datetime:
    return NOW + number * STEP


def seen(*requests: dict[str, float] | None) -> tuple[Sighting, ...]:
    """Give a sighting every ten minutes; None: nothing was there."""
    return tuple(
        Sighting(at(number - 1), at(number), found)
        for number, found in enumerate(requests)
        if found is not None
    )


@pytest.mark.parametrize(
    ("given", "label", "selectors"),
    [
        (ratio('total{version="{{ version }}"}'), "version", ['total{version!=""}']),
        (
            ratio('total{app="{{ name }}",release=~"{{ candidate }}|{{ stable }}"}'),
            "release",
            ['total{app="echo", release!=""}'],
        ),
        (
            ratio('a{version="{{ version }}", code!=""} or b{pod=~"{{ deployment }}-.*"}'),
            "version",
            ['a{code!="", version!=""}', 'b{version!=""}'],
        ),
        (latency(), "version", ['seconds_bucket{le="+Inf", version!=""}']),
    ],
)
def test_versions_are_told_by_the_label_that_the_metric_uses(
    given: dict[str, Any], label: str, selectors: list[str]
) -> None:
    found = lineage(analysis(saturation(), given), SUBJECT, None)
    assert (found.label, [str(each) for each in found.selectors]) == (label, selectors)


def test_series_and_requests_of_all_versions_are_asked_for() -> None:
    found = lineage(analysis(), SUBJECT, None)
    series, requests = found.queries(dt.timedelta(seconds=90.5))
    assert series.expression == 'count by (version) (present_over_time(total{version!=""}[91s]))'
    assert requests.expression == 'sum by (version) (increase(total{version!=""}[91s]))'


def test_a_label_can_be_named_where_metrics_do_not_tell() -> None:
    by_pod = analysis(ratio('total{pod=~"{{ deployment }}-.*", app="{{ upstream }}"}'))
    with pytest.raises(NoHistoryError, match="--version-label"):
        lineage(by_pod, SUBJECT, None)
    found = lineage(by_pod, SUBJECT, "tag")
    assert (found.label, str(found.selectors[0])) == ("tag", 'total{app="echo-upstream", tag!=""}')


def test_queries_alone_have_no_past() -> None:
    with pytest.raises(NoHistoryError, match="no metric counts requests"):
        lineage(analysis(saturation()), SUBJECT, "version")


LINE = lineage(analysis(), SUBJECT, None)
MINUTE = dt.timedelta(minutes=1)


def versions(**values: float) -> tuple[Sample, ...]:
    return tuple(Sample({"version": version}, value) for version, value in values.items())


def test_the_past_is_read_day_by_day() -> None:
    series, requests = LINE.queries(dt.timedelta(minutes=1))

    def told(when: dt.datetime) -> Answer:
        return () if when == NOW + 3 * MINUTE else versions(v1=2, v2=1)

    teller = Teller({series.expression: told, requests.expression: always(versions(v1=7.5, v3=float("nan")))})
    found = look_back(teller, LINE, NOW, NOW + dt.timedelta(days=2), lambda: None)
    assert len(teller.asked) == 2
    assert [each.at for each in found] == [NOW + number * MINUTE for number in range(1, 2881)]
    assert found[0] == Sighting(NOW, NOW + MINUTE, {"v1": 7.5, "v2": 0.0, "v3": 0.0})
    assert found[2].requests == {"v1": 7.5, "v3": 0.0}


def test_instants_without_series_are_no_sightings() -> None:
    series, _ = LINE.queries(MINUTE)

    def told(when: dt.datetime) -> Answer:
        return versions(v1=1) if when == NOW + 2 * MINUTE else ()

    found = look_back(Teller({series.expression: told}), LINE, NOW, NOW + 5 * MINUTE, lambda: None)
    assert found == (Sighting(NOW + MINUTE, NOW + 2 * MINUTE, {"v1": 0.0}),)


def test_a_past_that_cannot_be_read_is_an_error() -> None:
    _, requests = LINE.queries(MINUTE)
    teller = Teller({requests.expression: always(Failure("cannot be reached"))})
    with pytest.raises(NoHistoryError, match="cannot be reached"):
        look_back(teller, LINE, NOW, NOW + 5 * MINUTE, lambda: None)


def test_time_is_divided_by_who_served_most() -> None:
    found = stretches(
        seen({"v1": 9}, {"v1": 9, "v2": 1}, {"v1": 0, "v2": 0}, None, {"v1": 2, "v2": 5}, {"v2": 5})
    )
    assert found == (Stretch("v1", at(-1), at(2)), Stretch("v2", at(3), at(5)))


def test_who_served_goes_on_serving_while_nobody_asks() -> None:
    found = stretches(seen({"v1": 1, "v2": 9}, {"v1": 0, "v2": 0}, {"v1": 0}))
    assert found == (Stretch("v2", at(-1), at(1)), Stretch("v1", at(1), at(2)))


def test_a_version_that_came_while_another_served_was_released() -> None:
    past = seen(
        {"v1": 9}, {"v1": 9, "v2": 0}, {"v1": 8, "v2": 1}, {"v1": 5, "v2": 4}, {"v1": 0, "v2": 9}, {"v2": 9}
    )
    assert appearances(past) == (Appearance("v2", "v1", at(1), at(3), at(5), asked=True),)


def test_what_was_there_from_the_start_was_not_released() -> None:
    assert appearances(seen({"v1": 9, "v0": 1}, {"v1": 9, "v0": 1})) == ()
    assert appearances(()) == ()


def test_a_version_without_a_request_is_known_by_its_series() -> None:
    past = seen({"v1": 9}, {"v1": 9, "v2": 0}, {"v1": 9, "v2": 0}, {"v1": 9})
    assert appearances(past) == (Appearance("v2", "v1", at(0), at(1), at(2), asked=False),)


def test_requests_of_a_later_release_are_not_those_of_the_first() -> None:
    both, one = {"v1": 9.0, "v2": 0.0}, {"v1": 9.0}
    first, second = appearances(seen(one, both, *[one] * 8, {"v1": 9, "v2": 1}, one))
    assert (first.begin, first.gone, first.asked) == (at(0), at(1), False)
    assert (second.begin, second.gone, second.asked) == (at(9), at(10), True)


def test_all_at_once_leaves_nothing_to_share() -> None:
    past = seen({"v1": 9}, {"v1": 9}, {"v2": 9}, {"v2": 9})
    assert appearances(past) == (Appearance("v2", "v1", at(1), at(2), at(3), asked=True),)


@pytest.mark.parametrize(("absent", "releases"), [(5, 1), (7, 2)])
def test_a_version_that_was_gone_for_long_is_released_again(absent: int, releases: int) -> None:
    both, one = {"v1": 9.0, "v2": 1.0}, {"v1": 9.0}
    found = appearances(seen(one, both, *[one] * absent, both, one))
    assert [each.version for each in found] == ["v2"] * releases
    assert found[-1].gone == at(absent + 2)
    assert found[0].gone == (at(absent + 2) if releases == 1 else at(1))


def test_a_time_without_any_series_releases_nothing() -> None:
    assert appearances(seen({"v1": 9, "v0": 1}, *[None] * 20, {"v1": 9, "v0": 1})) == ()


def test_a_release_ends_where_the_next_one_begins() -> None:
    first, second = appearances(
        seen({"v1": 9}, {"v1": 9, "v2": 1}, {"v1": 9, "v2": 1, "v3": 1}, {"v1": 9, "v2": 1, "v3": 1})
    )
    assert (first.version, first.gone) == ("v2", at(1))
    assert (second.version, second.stable, second.begin, second.gone) == ("v3", "v1", at(1), at(3))


def test_two_that_come_together_are_both_released() -> None:
    found = appearances(seen({"v1": 9}, {"v1": 9, "v2": 1, "v3": 1}, {"v1": 9, "v2": 1, "v3": 1}))
    assert [(each.version, each.gone) for each in found] == [("v2", at(2)), ("v3", at(2))]
