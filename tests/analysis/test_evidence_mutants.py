"""The tests of the statistics are worth something: they notice every one of these mistakes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import analysis
from copies import Trial, copied, plant, trying
from mutants import Mutant


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


PACKAGE = Path(analysis.__path__[0])
TESTS = Path(__file__).parent

MUTANTS = {
    "what is tolerated and what is feared are swapped": Mutant(
        "evidence", "for ratio in alternatives", "for ratio, null in [(null, each) for each in alternatives]"
    ),
    "candidate and stable are swapped for harm": Mutant(
        "evidence", "_compared(candidate, stable, tolerate, alternatives)",
        "_compared(stable, candidate, tolerate, alternatives)",
    ),
    "candidate and stable are swapped for safety": Mutant(
        "evidence", "_compared(candidate, stable, must_not_exceed, BETTER)",
        "_compared(stable, candidate, must_not_exceed, BETTER)",
    ),
    "bursts are forgotten": Mutant("evidence", "before + temper * gain", "before + gain"),
    "bursts weaken what was known before": Mutant(
        "evidence", "before + temper * gain", "temper * (before + gain)"
    ),
    "bursts make evidence stronger": Mutant("evidence", "before + temper * gain", "before + gain / temper"),
    "what was known before is forgotten": Mutant("evidence", "before + temper * gain", "temper * gain"),
    "evidence is added up instead of averaged": Mutant(
        "evidence", "for each in logs) / len(logs))", "for each in logs))"
    ),
    "evidence is the best guess instead of the mean": Mutant(
        "evidence", "largest + math.log(math.fsum(math.exp(each - largest) for each in logs) / len(logs))",
        "largest",
    ),
    "evidence overflows": Mutant("evidence", "largest = max(logs)", "largest = 0.0"),
    "nothing tested is evidence": Mutant(
        "evidence", "        return 0.0\n    largest", "        return 1.0\n    largest"
    ),
    "stable's bad requests speak against the candidate": Mutant(
        "evidence", "- stable.bad * math.log1p", "+ stable.bad * math.log1p"
    ),
    "stable's bad requests do not count": Mutant("evidence", "- stable.bad * math.log1p", "- 0 * math.log1p"),
    "the candidate's bad requests are counted as good": Mutant(
        "evidence", "        candidate.bad * math.log1p(", "        -candidate.bad * math.log1p("
    ),
    "all requests count as bad": Mutant(
        "evidence", "        candidate.bad * math.log1p(", "        candidate.requests * math.log1p("
    ),
    "the odds are turned round": Mutant(
        "evidence", "odds = candidate.requests / stable.requests",
        "odds = stable.requests / candidate.requests",
    ),
    "the odds are taken for a share": Mutant(
        "evidence", "odds = candidate.requests / stable.requests",
        "odds = candidate.requests / (candidate.requests + stable.requests)",
    ),
    "equal traffic is taken for granted": Mutant(
        "evidence", "odds = candidate.requests / stable.requests", "odds = 1.0"
    ),
    "a null hypothesis that tolerates nothing": Mutant(
        "evidence", "_compared(candidate, stable, tolerate, alternatives)",
        "_compared(candidate, stable, 1, alternatives)",
    ),
    "alternatives that are tolerated": Mutant(
        "evidence", "[tolerate * gain for gain in WORSE]", "list(WORSE)"
    ),
    "safe is what is worse": Mutant(
        "evidence", "_compared(candidate, stable, must_not_exceed, BETTER)",
        "_compared(candidate, stable, must_not_exceed, WORSE)",
    ),
    "good requests are forgotten": Mutant(
        "evidence", "good = candidate.requests - candidate.bad", "good = 0"
    ),
    "bad requests are good ones as well": Mutant(
        "evidence", "good = candidate.requests - candidate.bad", "good = candidate.requests"
    ),
    "good requests speak against the candidate": Mutant(
        "evidence", "math.log1p(-share) - math.log1p(-limit)", "math.log1p(-limit) - math.log1p(-share)"
    ),
    "more bad requests than requests are feared": Mutant(
        "evidence", "min(_LARGEST_SHARE, limit * gain)", "limit * gain"
    ),
    "above a very large limit is below it": Mutant(
        "evidence", "max(limit, min(_LARGEST_SHARE, limit * gain))", "min(_LARGEST_SHARE, limit * gain)"
    ),
    "no bet begins late": Mutant(
        "evidence", "bets = [_log_sum(bet, stake) for bet in bets]", "bets = list(bets)"
    ),
    "what is staked stays in the reserve": Mutant(
        "evidence", "reserve += math.log1p(-math.exp(reserve) / BEGINNINGS)", "reserve += 0.0"
    ),
    "each alternative is staked on with all": Mutant(
        "evidence", "math.log(BEGINNINGS * len(WORSE))", "math.log(BEGINNINGS)"
    ),
    "the same is staked until nothing is left": Mutant(
        "evidence", "stake = 2 * reserve - ", "stake = min(reserve, 0.0) - "
    ),
    "half of the reserve is soon staked": Mutant("evidence", "BEGINNINGS = 500.0", "BEGINNINGS = 50.0"),
    "hardly anything is ever staked": Mutant("evidence", "BEGINNINGS = 500.0", "BEGINNINGS = 50_000.0"),
    "new bets begin after the window": Mutant(
        "evidence", "_added(_with_new_bets(logs, told=candidate.requests > 0), [*gains, 0.0], temper)",
        "_with_new_bets(_added(logs, [*gains, 0.0], temper), told=candidate.requests > 0)",
    ),
    "the reserve is not counted": Mutant("evidence", "return (*bets, reserve)", "return (*bets, -1e300)"),
    "the reserve bets as well": Mutant(
        "evidence", "alternatives), 0.0], temper)", "alternatives), 0.1 * candidate.bad], temper)"
    ),
    "what cannot be compared costs": Mutant(
        "evidence", "told=candidate.requests > 0 and stable.requests > 0)", "told=True)"
    ),
    "without stable it costs": Mutant(
        "evidence", "told=candidate.requests > 0 and stable.requests > 0)", "told=candidate.requests > 0)"
    ),
    "no requests cost": Mutant("evidence", "told=candidate.requests > 0), [", "told=True), ["),
    "any stored form goes on": Mutant("evidence", "logs if len(logs) == len(WORSE) + 1 else", "logs or"),
    "digits are lost": Mutant(
        "evidence", "math.log1p((ratio - null) / (null * (1 + odds * ratio)))",
        "(math.log(ratio / null) + math.log1p(odds * null) - math.log1p(odds * ratio))",
    ),
    "no floor": Mutant("dispersion", "(sums.bad + 1), assumed)", "(sums.bad + 1), 0.0)"),
    "no cap": Mutant("dispersion", "min(chi_squared / (sums.windows - 1), LARGEST)",
        "chi_squared / (sums.windows - 1)"),
    "the cap is a floor": Mutant("dispersion", "min(chi_squared / (sums.windows - 1), LARGEST)",
        "max(chi_squared / (sums.windows - 1), LARGEST)"),
    "a young stable is calm": Mutant("dispersion", "UNKNOWN = 8.0", "UNKNOWN = 1.0"),
    "one window says all": Mutant("dispersion", "ENOUGH = 20", "ENOUGH = 1"),
    "stable stays young for ever": Mutant("dispersion", "max(1 - sums.windows / ENOUGH, 0.0)", "1.0"),
    "an old stable is calmer than chance": Mutant(
        "dispersion", "max(1 - sums.windows / ENOUGH, 0.0)", "(1 - sums.windows / ENOUGH)"
    ),
    "a stable that never failed is calm": Mutant("dispersion", "return assumed\n", "return 1.0\n"),
    "a young stable has no bursts of its own": Mutant(
        "dispersion", "    if sums.windows < 2 or not", "    if sums.windows < ENOUGH or not"
    ),
    "a degree of freedom too many": Mutant(
        "dispersion", "(sums.windows - 1), LARGEST)", "sums.windows, LARGEST)"
    ),
    "few bad requests say all": Mutant("dispersion", " * (sums.bad - 1) / (sums.bad + 1)", ""),
    "few bad requests say almost all": Mutant(
        "dispersion", " * (sums.bad - 1) / (sums.bad + 1)", " * sums.bad / (sums.bad + 1)"
    ),
    "the variance of a Poisson": Mutant("dispersion", "/ (share * (1 - share))", "/ share"),
    "the mean is not taken off": Mutant("dispersion", "sums.squares - share * sums.bad", "sums.squares"),
    "one window is enough": Mutant("dispersion", "sums.windows < 2 or ", ""),
    "stable without a bad request": Mutant("dispersion", "not 0 < share < 1", "not share < 1"),
    "stable without a good request": Mutant("dispersion", "not 0 < share < 1", "not 0 < share"),
    "empty windows count": Mutant("dispersion", "    if not stable.requests:\n        return before\n", ""),
    "squares of shares": Mutant(
        "dispersion", "stable.bad * stable.bad / stable.requests", "stable.bad / stable.requests"
    ),
    "the prior does not know what was asked for": Mutant(
        "split", "prior = CONCENTRATION * wanted", "prior = CONCENTRATION / 2"
    ),
    "a weaker prior": Mutant("split", "prior = CONCENTRATION * wanted", "prior = wanted"),
    "the prior's own weight is left in": Mutant("split", " - math.lgamma(prior) - count", " - count"),
    "the total does not matter": Mutant(
        "split", "math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + total)", "0.0"
    ),
    "a deviation of any size": Mutant("split", "min(share, 1 - share)", "0"),
    "a deviation of the larger share": Mutant("split", "min(share, 1 - share)", "max(share, 1 - share)"),
    "any deviation is nobody's fault": Mutant(
        "split", "min(max(candidate / total, least), most)", "candidate / total"
    ),
    "the versions are swapped": Mutant(
        "split", "((candidate, share, likeliest), (stable, 1 - share, 1 - likeliest))",
        "((stable, share, likeliest), (candidate, 1 - share, 1 - likeliest))",
    ),
    "testers are a mismatch": Mutant("split", "testers and candidate >= share * total", "False"),
    "testers hide a mismatch": Mutant("split", "testers and candidate >= share * total", "testers"),
    "too many are never a mismatch": Mutant(
        "split", "testers and candidate >= share * total", "candidate >= share * total"
    ),
    "the impossible at 0% is not noticed": Mutant("split", "(candidate and share == 0) or ", ""),
    "the impossible at 100% is not noticed": Mutant("split", " or (stable and share == 1)", ""),
}  # fmt: skip


@pytest.fixture(scope="module")
def trial() -> Iterator[Trial]:
    with trying(TESTS.parents[1]) as trial:
        yield trial


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_the_tests_notice(mutant: Mutant, trial: Trial, tmp_path: Path) -> None:
    copy = copied(PACKAGE, tmp_path)
    plant(mutant, copy)
    assert trial(TESTS / f"test_{mutant.module}.py", copy) == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("module", sorted({mutant.module for mutant in MUTANTS.values()}))
def test_the_tests_accept_a_copy_without_a_mistake(module: str, trial: Trial, tmp_path: Path) -> None:
    assert trial(TESTS / f"test_{module}.py", copied(PACKAGE, tmp_path)) == pytest.ExitCode.OK
