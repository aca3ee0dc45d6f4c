import datetime as dt
import re

import pytest

from analysis.diagnosis import Condition, Selector, diagnose, selectors_in, suspicions
from analysis.prometheus import Prometheus
from analysis.queries import Query
from analysis.samples import Answer, Failure, Sample
from metrics import NOW
from told import Teller, always


def counted(**by_value: int) -> tuple[Sample, ...]:
    """Give series counted by a label; `_` stands for series without it."""
    return tuple(
        Sample({} if value == "_" else {"label": value}, float(number)) for value, number in by_value.items()
    )


def said(expression: str, answers: dict[str, Answer]) -> str:
    suspects = suspicions(Query("errors/stable/total/1", expression))
    teller = Teller({asked: always(answer) for asked, answer in answers.items()})
    return diagnose(suspects, teller.ask([query for each in suspects for query in each.queries], NOW))


WHERE = 'http_total{namespace="shop", version="v1"}'


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ('a{x="1"}', ['a{x="1"}']),
        ('a:b{x="1",y!="2",} / on (pod) c {z=~"[{}]+"}', ['a:b{x="1", y!="2"}', 'c{z=~"[{}]+"}']),
        ("a{x='}', y=`{\"`}", ["a{x='}', y=`{\"`}"]),
        ('label_replace(a{x="1"}, "b{c=\'d\'}", "$1", "le", "([0-9]{2})")', ['a{x="1"}']),
        ('a{x="1"} or a{x="1"}', ['a{x="1"}']),
        ('a{x="\\"}"}', ['a{x="\\"}"}']),
        ("a + b{}", []),
        ('sum by (x) ({__name__="a", y="1"})', ['{__name__="a", y="1"}']),
        (
            " or ".join(f'a{{x="{number}"}}' for number in range(9)),
            [f'a{{x="{number}"}}' for number in range(4)],
        ),
    ],
)
def test_selectors_are_found_wherever_strings_may_hide_braces(expression: str, found: list[str]) -> None:
    assert [str(selector) for selector in selectors_in(expression)] == found


def test_a_selector_can_do_without_a_condition() -> None:
    first, second = Condition("a", 'a="1"'), Condition("b", 'b!="2"')
    selector = Selector("n", (first, second))
    assert str(selector.without(first)) == 'n{b!="2"}'
    assert str(selector.only(second)) == 'n{b!="2"}'
    assert str(selector.only()) == "n{}"


def test_a_label_that_no_series_carries_is_named() -> None:
    answers: dict[str, Answer] = {'count by (version) (http_total{namespace="shop"})': counted(_=3)}
    assert said(WHERE, answers) == (
        'no series; without version="v1" there are 3, and none of them carries a label version'
    )


def test_other_values_of_a_label_are_named() -> None:
    answers: dict[str, Answer] = {
        'count by (version) (http_total{namespace="shop"})': counted(**{"1.1": 2, "1.0": 3, "_": 1})
    }
    assert (
        said(WHERE, answers) == 'no series; without version="v1" there are 6, and their version is 1.0, 1.1'
    )


def test_only_a_few_values_are_named() -> None:
    many = counted(**{f"v{number:02}": 1 for number in range(2, 12)})
    answers: dict[str, Answer] = {'count by (version) (http_total{namespace="shop"})': many}
    assert said(WHERE, answers).endswith("version is v02, v03, v04, v05, v06, v07, v08, v09, ...")


def test_every_condition_is_doubted() -> None:
    answers: dict[str, Answer] = {'count by (namespace) (http_total{version="v1"})': counted(store=4)}
    assert (
        said(WHERE, answers)
        == 'no series; without namespace="shop" there are 4, and their namespace is store'
    )


def test_every_selector_of_an_expression_is_doubted() -> None:
    either = f'http_total{{code!="", version="v1"}} or {WHERE}'
    answers: dict[str, Answer] = {'count by (version) (http_total{namespace="shop"})': counted(v9=4)}
    assert said(either, answers) == 'no series; without version="v1" there are 4, and their version is v9'


def test_several_wrong_conditions_are_all_named() -> None:
    answers: dict[str, Answer] = {
        "count by (version) (http_total{})": counted(_=5),
        "count by (namespace) (http_total{})": counted(store=5),
    }
    assert said(WHERE, answers) == (
        'no series; of 5 called http_total none fulfils version="v1", '
        'and none of them carries a label version; nor namespace="shop", and their namespace is store'
    )


def test_conditions_that_hold_but_never_together_are_told() -> None:
    answers: dict[str, Answer] = {
        "count by (version) (http_total{})": counted(v1=2, v2=3),
        "count by (namespace) (http_total{})": counted(shop=3, store=2),
        'count(http_total{version="v1"})': counted(_=2),
        'count(http_total{namespace="shop"})': counted(_=3),
    }
    assert (
        said(WHERE, answers) == "no series; 5 are called http_total, but none of them fulfils all conditions"
    )


def test_a_name_that_nothing_has_is_told() -> None:
    asks = "is the application scraped, and has it answered anything?"
    assert said(WHERE, {}) == f"no series, and none is called http_total: {asks}"
    assert (
        said(f'{WHERE} or other{{a="b"}}', {}) == f"no series, and none is called http_total or other: {asks}"
    )
    assert said("vector(1) > 2", {}) == f"no series: {asks}"
    assert said('{__name__="a"}', {}) == f"no series: {asks}"


def test_what_prometheus_refuses_is_no_finding() -> None:
    answers: dict[str, Answer] = {'count by (version) (http_total{namespace="shop"})': Failure("no")}
    assert said(WHERE, answers).startswith("no series, and none is called http_total")


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (
            'prometheus_http_requests_total{version="v9", handler=~".+"}',
            r'no series; without version="v9" there are \d+, and their version is v1, v2',
        ),
        (
            'prometheus_http_requests_total{release="v1", handler=~".+"}',
            r'no series; without release="v1" there are \d+, and none of them carries a label release',
        ),
        (
            'prometheus_http_requests_total{release="v1", job="shop"}',
            (
                r'no series; of \d+ called prometheus_http_requests_total none fulfils job="shop", '
                r'and their job is v1, v2; nor release="v1", and none of them carries a label release'
            ),
        ),
        ('http_requests_total{release="v1"}', "no series, and none is called http_requests_total: is .*"),
    ],
)
def test_prometheus_itself_tells_what_there_is(prometheus: str, expression: str, found: str) -> None:
    suspects = suspicions(Query("errors/stable/total/1", expression))
    client = Prometheus(prometheus, dt.timedelta(seconds=10))
    _, answers = client.ask_now([query for each in suspects for query in each.queries])
    client.close()
    assert re.fullmatch(found, diagnose(suspects, answers))
