"""Documents that somebody wrote to do harm are refused soon, in a sentence with a place."""

import io
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.documents import MAX_LINES, MAX_WRITTEN
from config.load import load_canaries, load_spec
from config.problems import MOST_TOLD, SpecError
from controller.cli.program import run


GOOD = """\
apiVersion: crossfade.dev/v1alpha1
kind: Canary
metadata: {name: echo, namespace: echo}
spec:
  workload: {selector: {app: echo}}
  upstream: {name: echo, namespace: gloo-system}
  routes:
    - {name: echo, namespace: gloo-system}
  analysis:
    metrics:
      - {name: up, query: up, min: 1}
"""
SOON = 5.0
"""Seconds of the processor; what builds a megabyte with the places of its fields takes half a minute."""


def told(text: str) -> list[str]:
    began = time.process_time()
    with pytest.raises(SpecError) as caught:
        load_canaries(text)
    assert time.process_time() - began < SOON
    problems = [str(problem) for problem in caught.value.errors]
    assert all(each.isprintable() for each in problems)
    return problems


BOMB = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30))
LADDER = "a0: &a0 x\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 300))
MIN = "min: 1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(GOOD + BOMB, "17:1: a5: more than 100000 values, aliases written out", id="bomb"),
        pytest.param(GOOD + LADDER, "nested too deeply, aliases written out", id="aliases of aliases"),
        pytest.param(
            GOOD + "z: " + "[" * 10_000 + "]" * 10_000, "12:67: nested too deeply", id="10000 lists"
        ),
        pytest.param(
            GOOD + "z: " + "{a: " * 10_000 + "}" * 10_000, "12:256: nested too deeply", id="10000 mappings"
        ),
        pytest.param(GOOD + "z:\n" + "- " * 10_000, "13:127: nested too deeply", id="10000 dashes"),
        pytest.param(
            GOOD + "".join(f"  k{i}: 1\n" for i in range(80_000)),
            f"more than {MAX_WRITTEN} values in one file",
            id="80000 fields",
        ),
        pytest.param(
            GOOD + "z: [" + "1," * 100_000 + "]",
            f"more than {MAX_WRITTEN} values in one file",
            id="100000 items",
        ),
        pytest.param(GOOD + "#\n" * 500_000, f"more than {MAX_LINES} lines", id="500000 lines"),
        pytest.param(GOOD + "# " + "x" * 2**20, "larger than 1 MiB", id="larger than a megabyte"),
        pytest.param(
            GOOD.replace(MIN, "min: " + "9" * 5000),
            "11:36: not valid YAML: cannot be read: Exceeds the limit (4300 digits)",
            id="5000 digits",
        ),
        pytest.param(
            GOOD.replace(MIN, "min: 0x" + "f" * 5000),
            "11:31: spec.analysis.metrics[0].min: found a number of more than 64 bits",
            id="huge in another base",
        ),
        pytest.param(
            GOOD.replace(MIN, "min: 1e999"),
            "min: found inf; a finite number is needed",
            id="endless",
            marks=pytest.mark.filterwarnings("ignore::ruamel.yaml.error.MantissaNoDotYAML1_1Warning"),
        ),
        pytest.param(
            GOOD.replace(MIN, "min: 2024-99-99"), "11:36: not valid YAML: cannot be read: month", id="no date"
        ),
        pytest.param(
            GOOD + "z: &z\n  <<: *z\n  a: 1\n",
            "12:4: not valid YAML: cannot be read",
            id="merged with itself",
        ),
        pytest.param(GOOD + "kind: Canary\n", "12:1: not valid YAML: found duplicate key", id="twice"),
        pytest.param(GOOD + "z: !!set {a, b}\n", "12:1: z: found CommentedSet; plain values only", id="set"),
        pytest.param(GOOD + "z: \0\n", "unacceptable character #x0000", id="NUL"),
        pytest.param(GOOD + 'z: "\\ud800"\n', "12:7: not valid YAML: found invalid Unicode", id="surrogate"),
        pytest.param(f"{GOOD}---\n[a: *nowhere", "13:5: not valid YAML: found undefined alias", id="alias"),
    ],
)
def test_a_document_that_would_cost_much_is_refused_before_it_does(text: str, said: str) -> None:
    assert said in told(text)[0]


def test_documents_of_others_are_not_even_built() -> None:
    began = time.process_time()
    for text in (BOMB, "- 1\n" * 200_000, "---\n" * 20_000, "- &a 1\n" * 100_000):
        assert load_canaries(text) == ()
    assert time.process_time() - began < SOON


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("\u0435cho", r"'\u0435cho'", id="a Cyrillic letter"),
        pytest.param("e\u202ecoh", r"'e\u202ecoh'", id="from right to left"),
        pytest.param("e\u200bcho", r"'e\u200bcho'", id="no width"),
        pytest.param("echo\n", r"'echo\n'", id="a line break"),
        pytest.param("ec\0ho", r"'ec\x00ho'", id="NUL"),
        pytest.param("\x1b[31mecho", r"'\x1b[31mecho'", id="a terminal's colours"),
        pytest.param("a-" * 500_000, "'a-a-", id="a million letters"),
    ],
)
def test_a_name_is_what_it_looks_like(name: str, shown: str) -> None:
    wrong = {
        "workload": {"selector": {"app": name}, name: "x"},
        "upstream": {"name": name, "namespace": name},
        "routes": [{"name": name, "namespace": name}],
        "analysis": {"metrics": [{"name": name, "query": "up", "min": 1}]},
        name: 1,
    }
    with pytest.raises(SpecError) as caught:
        load_spec(wrong)
    problems = [str(problem) for problem in caught.value.errors]
    refused = ("selector.app", "upstream.name", "upstream.namespace", "routes[0].name", "metrics[0].name")
    for field in refused:
        assert any(f"{field}: found {shown}" in each for each in problems), problems
    assert all(each.isascii() and each.isprintable() and len(each) < 500 for each in problems)


@pytest.mark.parametrize("hidden", ["\0", "\u202e", "\u200b", "\n", "\x1b", "\x7f"])
def test_what_is_compared_with_requests_and_routes_can_be_seen(hidden: str) -> None:
    wrong = {
        "workload": {"selector": {"app": "echo"}},
        "upstream": {"name": "echo", "namespace": "echo"},
        "routes": [
            {"name": "echo", "namespace": "echo", "names": [f"a{hidden}"], "prefixes": [f"/a{hidden}b"]}
        ],
        "testing": {
            "match": [{"headers": [{"name": "a", "value": f"a{hidden}"}, {"name": "b", "regex": hidden}]}]
        },
        "analysis": {"metrics": [{"name": "up", "query": "up", "min": 1}]},
    }
    with pytest.raises(SpecError) as caught:
        load_spec(wrong)
    fields = {problem.path for problem in caught.value.errors}
    headers = {f"spec.testing.match[0].headers[{at}].{field}" for at, field in enumerate(("value", "regex"))}
    assert fields == {"spec.routes[0].names[0]", "spec.routes[0].prefixes[0]", *headers}
    assert all(problem.message.isprintable() for problem in caught.value.errors)


def test_a_thousand_mistakes_are_told_as_a_hundred() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({f"field{number}": 1 for number in range(5000)})
    assert len(caught.value.errors) == MOST_TOLD
    assert len(str(caught.value)) < 2100


def test_numbers_from_a_server_may_be_huge_too() -> None:
    for huge in (10**400, -(10**400), 2**63):
        metric = {"name": "m", "query": "up", "min": huge}
        wrong = {"shifting": {"steps": [huge], "interval": huge}, "analysis": {"metrics": [metric]}}
        with pytest.raises(SpecError) as caught:
            load_spec(wrong)
        problems = [str(problem) for problem in caught.value.errors]
        assert any("steps[0]: found a huge number; a weight is" in each for each in problems), problems


def test_a_file_without_an_end_is_not_read_to_its_end(crossfade: "Crossfade") -> None:
    code, said = crossfade("validate", "/dev/zero")
    assert (code, said) == (5, "/dev/zero: larger than 1 MiB\n")


def test_a_file_of_settings_is_bounded_in_the_same_way(crossfade: "Crossfade", tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    for text in ("[" * 10_000, BOMB, "- 1\n" * 50_000):
        file.write_text(text)
        code, said = crossfade("run", "--check", "--config", str(file))
        assert code == 5
        assert str(file) in said
        assert "Traceback" not in said


class Crossfade:
    """Runs a command line here and gives its exit code and all that it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        code = run(arguments)
        captured = self._capsys.readouterr()
        return code, captured.out + captured.err


@pytest.fixture
def crossfade(capsys: pytest.CaptureFixture[str]) -> Crossfade:
    return Crossfade(capsys)


EXAMPLE = (Path(__file__).parents[2] / "config" / "examples" / "full.yaml").read_text()
MARKS = (
    "&a ",
    "*a",
    "!!binary ",
    "!x ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "- ",
    "\t",
    "'",
    '"',
    "|",
    ">",
    "#",
    "---\n",
)
VALUES = ("null", "true", "1e999", ".nan", "-0", "0x10", "2026-01-01", "9" * 40, "\x00", "\u202e", "<<: ")


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """Give the longest example with a few places overwritten, doubled, moved or cut out."""
    text = EXAMPLE
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        end = min(len(text), begin + draw(st.integers(0, 40)))
        piece = draw(st.sampled_from(MARKS + VALUES) | st.text(max_size=5) | st.just(text[begin:end] * 2))
        text = text[:begin] + piece + text[end:]
    return text


@pytest.mark.filterwarnings("ignore::ruamel.yaml.error.YAMLWarning")  # as wherever documents are read
@given(mangled())
@settings(max_examples=150, derandomize=True)
def test_whatever_a_file_holds_it_is_valid_or_told_where_it_is_not(text: str) -> None:
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(out), redirect_stderr(err):
        file = Path(folder) / "canary.yaml"
        file.write_text(text, errors="surrogatepass")
        code = run(["validate", str(file)])
    assert code in {0, 1, 5}
    assert "Traceback" not in out.getvalue() + err.getvalue()
    assert code == 0 or f"{file}" in err.getvalue() + out.getvalue()
