import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.selectors import EVERYTHING, parse_selector


LABELS = {"team": "shop", "tier": "test", "empty": "", "example.org/app": "web"}


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("  ", True),
        ("team=shop", True),
        ("team==shop", True),
        (" team = shop ", True),
        ("team=cart", False),
        ("tEam=shop", False),
        ("region=", False),
        ("empty=", True),
        ("team!=cart", True),
        ("team!=shop", False),
        ("region!=north", True),
        ("team", True),
        ("empty", True),
        ("region", False),
        ("!region", True),
        ("! region", True),
        ("!team", False),
        ("team in (cart, shop)", True),
        ("team in (cart,till)", False),
        ("team in(shop)", True),
        ("region in (north)", False),
        ("region in ()", False),
        ("empty in ()", True),
        ("team notin (cart,till)", True),
        ("team notin (cart,shop)", False),
        ("region notin (north)", True),
        ("example.org/app=web", True),
        ("team=shop,tier=test", True),
        ("team=shop,tier!=test", False),
        ("team in (shop, cart),!region,tier notin (prod)", True),
        ("in=1,notin", False),
    ],
)
def test_labels_are_selected_as_kubernetes_does(text: str, *, selected: bool) -> None:
    assert parse_selector(text).selects(LABELS) is selected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("team=shop,", "found ''; a selector looks like team=shop"),
        ("team=shop;tier=test", "found 'team=shop;tier=test'"),
        ("team=a b", "found 'team=a b'"),
        ("team in shop", "found 'team in shop'"),
        ("team in (shop", "found 'team in (shop'"),
        ("team in (a b)", "found 'a b' in 'team in (a b)'; a value has letters"),
        ("weight>5", "found 'weight>5'"),
        ("!team=shop", "found '!team=shop'"),
        ("-team", "found '-team'"),
        (f"{'a' * 64}", "found 'aaa"),
        (f"team={'a' * 64}", "found 'team=aaa"),
        ("Example.org/app=web", "found 'Example.org/app=web'"),
    ],
)
def test_what_is_no_selector_is_refused_by_its_part(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_selector(text)


def test_a_selector_is_shown_as_it_was_written() -> None:
    assert str(parse_selector(" team in (a, b) ")) == "team in (a, b)"
    assert str(EVERYTHING) == ""
    assert parse_selector("") == EVERYTHING


KEYS = st.sampled_from(["a", "b"])
VALUES = st.sampled_from(["x", "y", ""])


@given(labels=st.dictionaries(KEYS, VALUES), key=KEYS, values=st.lists(VALUES, min_size=1, max_size=3))
def test_every_condition_and_its_opposite_divide_all_labels(
    labels: dict[str, str], key: str, values: list[str]
) -> None:
    """So that two controllers with opposite selectors leave no Canary out, and share none."""
    listed = ",".join(values)
    for one, other in (
        (f"{key} in ({listed})", f"{key} notin ({listed})"),
        (f"{key}={values[0]}", f"{key}!={values[0]}"),
        (key, f"!{key}"),
    ):
        assert parse_selector(one).selects(labels) is not parse_selector(other).selects(labels)
