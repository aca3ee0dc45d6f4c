import pytest

from config.expressions import check_counter, check_expression
from config.placeholders import PLACEHOLDERS, placeholders_in


def test_every_placeholder_is_accepted_however_it_is_spaced() -> None:
    text = " + ".join(
        f'a{{x="{{{{{name}}}}}"}} + b{{x="{{{{  {name} }}}}"}}' for name in sorted(PLACEHOLDERS)
    )
    assert check_expression(text) == text
    assert set(placeholders_in(text)) == PLACEHOLDERS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "{{ verison }}", "unknown placeholder {{ verison }}; did you mean {{ version }}?", id="near"
        ),
        pytest.param(
            "{{ foo }}", "unknown placeholder {{ foo }}; allowed: candidate, cluster, deployment", id="far"
        ),
        pytest.param("{{ .Version }}", "unknown placeholder {{ .Version }}", id="another language"),
        pytest.param("{{ }}", "unknown placeholder {{  }}", id="empty"),
        pytest.param("{{ version }", "double braces that do not close", id="one brace short"),
        pytest.param('up{x="version }}"}', "double braces that do not close", id="never opened"),
    ],
)
def test_other_placeholders_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="placeholder") as caught:
        check_expression(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'requests_total{version="{{ version }}"}',
        '{__name__="requests_total", pod=~"{{ deployment }}-.*"}',
        'requests_total{version="{{ candidate }}"} or other_total{version="{{ candidate }}"}',
        'job:sum_of_rate:total{version="{{ version }}", path="rate(x)"}',
        'rate_total{version="{{ version }}"}  # not rate(x)',
        'my_sum{version="{{ version }}"} + on (pod) count{version="{{ version }}"}',
    ],
)
def test_raw_counters_are_accepted(text: str) -> None:
    assert check_counter(text) == text


@pytest.mark.parametrize("function", ["rate", "irate", "increase", "delta", "idelta", "histogram_quantile"])
def test_a_rate_is_refused_where_a_counter_is_wanted(function: str) -> None:
    with pytest.raises(ValueError, match=rf"found {function}\(\); give the raw counter instead"):
        check_counter(f'{function} (requests_total{{version="{{{{ version }}}}"}}[1m])')


@pytest.mark.parametrize(
    "text", ["sum({0})", "sum by (code) ({0})", "sum without(pod) ({0})", "1 + max({0})", "topk(1, {0})"]
)
def test_an_aggregate_is_refused_where_a_counter_is_wanted(text: str) -> None:
    with pytest.raises(ValueError, match="give one series per pod instead"):
        check_counter(text.format('requests_total{version="{{ version }}"}'))


@pytest.mark.parametrize(
    "text", ["requests_total", 'requests_total{version="v2"}', 'x{version!="{{ stable }}"}']
)
def test_a_counter_that_is_the_same_for_all_versions_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="counts all versions as one"):
        check_counter(text)
