"""Single-line mistakes in what becomes of counts: a verdict, and what a step waits for."""

from mutants import Mutant


JUDGING = {
    "a bound is known that is not there": Mutant("latency", "not self.requests or bound in self.bad", "True"),
    "no buckets, no requests": Mutant(
        "latency", "not self.requests or bound in self.bad", "bound in self.bad"
    ),
    "who has no series has a say": Mutant(
        "latency", "for each in tallies if each.bad]", "for each in tallies]"
    ),
    "any bound is compared": Mutant(
        "latency", "bounds[0].intersection(*bounds[1:])", "bounds[0].union(*bounds[1:])"
    ),
    "what is compared is chosen again": Mutant(
        "latency", "    if known or not bounds:", "    if not bounds:"
    ),
    "the smallest bound is watched": Mutant(
        "latency", "(exceeded or [comparisons[0].bound])[-1]", "comparisons[0].bound"
    ),
    "the largest bound is watched": Mutant(
        "latency", "(exceeded or [comparisons[0].bound])[-1]", "comparisons[-1].bound"
    ),
    "a bound is chosen before stable is known": Mutant(
        "latency",
        "if not comparisons or any(each.dispersion.requests * SEEN_AT_TIMES < 1 for each in comparisons):",
        "if not comparisons:",
    ),
    "bounds have the largest evidence, not the mean": Mutant(
        "latency",
        "return log_mean_exp([log_mean_exp(each.harm) for each in comparisons])",
        "return max((log_mean_exp(each.harm) for each in comparisons), default=0.0)",
    ),
    "bounds that were not compared do not dilute": Mutant(
        "latency", "for each in comparisons])", "for each in comparisons if each.harm])"
    ),
    "the mildest bound is named": Mutant("latency", "return max(comparisons", "return min(comparisons"),
    "a bound that was not compared is named": Mutant(
        "latency", "(bool(each.harm), log_mean_exp(each.harm))", "log_mean_exp(each.harm)"
    ),
    "the minimum is a maximum": Mutant(
        "limits",
        "metric.min is not None and value < metric.min",
        "metric.min is not None and value > metric.min",
    ),
    "the bound itself is too much": Mutant("limits", "value > metric.max:", "value >= metric.max:"),
    "one failure more is allowed": Mutant(
        "limits", "failures >= metric.failure_limit", "failures > metric.failure_limit"
    ),
    "a pass does not end a row of failures": Mutant("limits", "passes=passes, failures=0,", "passes=passes,"),
    "an early pass counts": Mutant("limits", "status.passes + settled", "status.passes + 1"),
    "failures may be missed": Mutant("limits", "failures = status.failures + 1", "failures = 1"),
    "no answer passes": Mutant(
        "limits", "verdict=Verdict.BLIND, message=reason)", "verdict=Verdict.SAFE, message=reason, passes=1)"
    ),
    "no data is not safe to say": Mutant(
        "limits", 'verdict=Verdict.BLIND, message=f"no data: {reason}")', 'message=f"no data: {reason}")'
    ),
    "the false rollbacks are not divided": Mutant("weighing", "math.log(max(tests, 1) / ", "math.log(1 / "),
    "only half of the tests have a share": Mutant("weighing", "tests = 2 * sum(", "tests = sum("),
    "queries have a share": Mutant(
        "weighing", "sum(not isinstance(metric, QueryMetric) for", "sum(isinstance(metric, object) for"
    ),
    "what only reports has no share": Mutant(
        "weighing",
        "sum(not isinstance(metric, QueryMetric) for",
        "sum(not isinstance(metric, QueryMetric) and not metric.dry_run for",
    ),
    "stable is compared with at 100%": Mutant(
        "weighing",
        "if isinstance(stable, Tally) and rules.comparable else None",
        "if isinstance(stable, Tally) else None",
    ),
    "stable must be seen at 100%": Mutant(
        "weighing",
        "_unseen(tests, candidate, reading, stable) if rules.comparable else",
        "_unseen(tests, candidate, reading, stable) if True else",
    ),
    "stable need not be seen": Mutant(
        "weighing",
        "_unseen(tests, candidate, reading, stable) if rules.comparable else",
        '"" if rules.comparable else',
    ),
    "stable without series is no loss": Mutant(
        "weighing",
        'return "stable: the query finds no series" if known and not',
        'return "" if known and not',
    ),
    "stable that was never there is missed": Mutant(
        "weighing", "if known and not _has_series(", "if not _has_series("
    ),
    "the candidate may disappear": Mutant(
        "weighing", "if tests.requests and not _has_series(reading.candidate):", "if False:"
    ),
    "the candidate must be there before it answers": Mutant(
        "weighing",
        "if tests.requests and not _has_series(reading.candidate):",
        "if not _has_series(reading.candidate):",
    ),
    "blindness outweighs harm": Mutant(
        "weighing",
        "if harmful := _harm(metric, tests, rules):",
        "if (harmful := _harm(metric, tests, rules)) and not blind:",
    ),
    "it need not have settled": Mutant(
        "weighing", "proves = rules.settled and not blind", "proves = not blind"
    ),
    "what was not compared counts": Mutant(
        "weighing", "rules.settled and not blind and", "rules.settled and"
    ),
    "a gap reaches back": Mutant(
        "weighing", "not blind and before.verdict is not Verdict.BLIND", "not blind"
    ),
    "harm must have settled": Mutant(
        "weighing",
        "if isinstance(stable, Tally) and rules.comparable else None",
        "if isinstance(stable, Tally) and rules.comparable and rules.settled else None",
    ),
    "few requests are safe": Mutant("weighing", "safe = status.requests >= rules.min_requests and", "safe ="),
    "what is assumed of stable excuses a rise": Mutant(
        "weighing", "return status.doubtful or (", "return False or ("
    ),
    "doubt never ends": Mutant("weighing", "own.dispersion.windows >= ENOUGH", "own.dispersion.windows < 0"),
    "doubt is about the limit alone": Mutant(
        "weighing", "against = [evidence.worse((), counted, stable, metric.tolerate, 1.0)]", "against = [()]"
    ),
    "doubt is about stable alone": Mutant("weighing", "against.append(evidence.above(", "(evidence.above("),
    "leaning is safe": Mutant("weighing", "and not leans(status) and log", "and log"),
    "safe without evidence": Mutant("weighing", " and log_mean_exp(tests.safe) >= SAFE", ""),
    "a little evidence is safe": Mutant("weighing", "SAFE = math.log(1 / 0.05)", "SAFE = math.log(2)"),
    "safe against what is tolerated": Mutant(
        "weighing",
        "evidence.safe(tests.safe, arm, other, rules.must_not_exceed, temper)",
        "evidence.safe(tests.safe, arm, other, metric.tolerate, temper)",
    ),
    "what is tolerated is a constant": Mutant(
        "weighing", "own, other, metric.tolerate, temper", "own, other, 1.5, temper"
    ),
    "candidate and stable are swapped": Mutant(
        "weighing", "evidence.worse(known.harm, own, other,", "evidence.worse(known.harm, other, own,"
    ),
    "each window is the first": Mutant(
        "weighing", "evidence.worse(known.harm, own,", "evidence.worse((), own,"
    ),
    "the limit forgets": Mutant("weighing", "evidence.above(tests.limit, arm,", "evidence.above((), arm,"),
    "bursts are as good as any": Mutant(
        "weighing",
        "other, temper = stable.arm(known.bound), 1 / dispersion(known.dispersion)",
        "other, temper = stable.arm(known.bound), 1.0",
    ),
    "bursts do not matter to the limit": Mutant(
        "weighing",
        "arm, temper = candidate.arm(own.bound), 1 / dispersion(own.dispersion)",
        "arm, temper = candidate.arm(own.bound), 1.0",
    ),
    "a window tempers itself": Mutant(
        "weighing",
        "1 / dispersion(known.dispersion)",
        "1 / dispersion(observed(known.dispersion, stable.arm(known.bound)))",
    ),
    "the candidate makes the bursts": Mutant(
        "weighing",
        "dispersion=observed(known.dispersion, other),",
        "dispersion=observed(known.dispersion, own),",
    ),
    "stable's past limits at any weight": Mutant(
        "weighing", "case _ if rules.comparable or not stable.requests:", "case _ if not stable.requests:"
    ),
    "stable's past limits nothing": Mutant(
        "weighing", "case _ if rules.comparable or not stable.requests:", "case _ if True:"
    ),
    "stable's past limits without tolerance": Mutant(
        "weighing", "min(metric.tolerate * (stable.bad", "min((stable.bad"
    ),
    "a quantile is a share": Mutant(
        "weighing", "            return 1 - limit.quantile\n", "            return limit.quantile\n"
    ),
    "stable's past alone is usual": Mutant(
        "weighing", "(stable.bad + PAST * rate) / (stable.requests + PAST)", "rate"
    ),
    "good hours earn credit": Mutant(
        "weighing",
        "excess=max(tests.excess + arm.bad - _usual(arm, other, own.dispersion), 0.0)",
        "excess=tests.excess + arm.bad - _usual(arm, other, own.dispersion)",
    ),
    "the budget is never spent": Mutant(
        "weighing", "rules.budget is not None and tests", "rules.budget is None and tests"
    ),
    "the budget may be spent whole": Mutant(
        "weighing", "tests.excess >= rules.budget:", "tests.excess > rules.budget:"
    ),
    "the weakest test speaks": Mutant(
        "weighing", "return max(made, default=None)", "return min(made, default=None)"
    ),
    "a test that was not made speaks": Mutant(
        "weighing", "(against_limit if tests.limit else [])", "against_limit"
    ),
    "what is needed is not enough": Mutant(
        "weighing", "strongest.log_e >= rules.needed:", "strongest.log_e > rules.needed:"
    ),
    "leaning takes more": Mutant("weighing", "LEANING = 10.0", "LEANING = 100.0"),
    "odds without bounds": Mutant(
        "weighing", "math.exp(min(log_e, _LARGEST_SHOWN))", "math.exp(min(log_e, 700))"
    ),
    "harm is taken back": Mutant(
        "judge",
        "        after = replace(after, verdict=Verdict.HARMFUL,",
        "        _ = replace(after, verdict=Verdict.HARMFUL,",
    ),
    "blindness comes first": Mutant(
        "judge",
        "(Verdict.HARMFUL, Verdict.BLIND, Verdict.UNDECIDED)",
        "(Verdict.BLIND, Verdict.HARMFUL, Verdict.UNDECIDED)",
    ),
    "undecided outweighs blindness": Mutant(
        "judge",
        "(Verdict.HARMFUL, Verdict.BLIND, Verdict.UNDECIDED)",
        "(Verdict.HARMFUL, Verdict.UNDECIDED, Verdict.BLIND)",
    ),
    "one safe metric is enough": Mutant(
        "judge", "(Verdict.HARMFUL, Verdict.BLIND, Verdict.UNDECIDED)", "(Verdict.HARMFUL, Verdict.BLIND)"
    ),
    "the weakest evidence is named": Mutant(
        "judge",
        "return verdict, _said(max(named, key=_strength))",
        "return verdict, _said(min(named, key=_strength))",
    ),
    "what only reports decides": Mutant("judge", "_together(acting or metrics)", "_together(metrics)"),
    "what only reports holds": Mutant(
        "judge", "_waits_for(analysis, acting,", "_waits_for(analysis, metrics,"
    ),
    "a dry run acts": Mutant("judge", "acts = bool(acting) and not analysis.dry_run", "acts = bool(acting)"),
    "metrics that only report act": Mutant("judge", "acts = bool(acting) and not", "acts = not"),
    "would have rolled back again and again": Mutant(
        "judge", "and after.would_roll_back_at is None and metric.dry_run", "and metric.dry_run"
    ),
    "what acts would have rolled back": Mutant(
        "judge", "would_roll_back_at is None and metric.dry_run:", "would_roll_back_at is None:"
    ),
    "it only reports for ever": Mutant(
        "judge",
        "replace(before, dry_run=metric.dry_run)",
        "replace(before, dry_run=before.dry_run or metric.dry_run)",
    ),
    "everything is comparable": Mutant("judge", "comparable = window.weight < 100", "comparable = True"),
    "nothing is comparable": Mutant(
        "judge", "comparable = window.weight < 100", "comparable = window.weight < 10"
    ),
    "all is settled": Mutant("judge", "settled=window.settled, comparable", "settled=True, comparable"),
    "all queries have settled": Mutant("judge", "reading, settled=window.settled)", "reading, settled=True)"),
    "a step inherits requests": Mutant("judge", "            requests=0,\n", ""),
    "a step inherits passes": Mutant("judge", "            passes=0,\n", ""),
    "a step inherits safety": Mutant("judge", "replace(metric.tests, safe=())", "metric.tests"),
    "a step inherits the split": Mutant(
        "judge",
        "weight=window.weight, candidate=0, stable=0, seconds=0.0)",
        "weight=window.weight, seconds=0.0)",
    ),
    "a step inherits the time of the split": Mutant(
        "judge", "candidate=0, stable=0, seconds=0.0)", "candidate=0, stable=0)"
    ),
    "harm begins anew at each step": Mutant(
        "judge", "replace(metric.tests, safe=())", "replace(metric.tests, safe=(), comparisons=())"
    ),
    "the limit begins anew at each step": Mutant(
        "judge", "replace(metric.tests, safe=())", "replace(metric.tests, safe=(), limit=())"
    ),
    "a phase is no place": Mutant(
        "judge",
        "if (weighed.phase, weighed.weight) == (window.phase, window.weight):",
        "if weighed.weight == window.weight:",
    ),
    "another limit, the same memory": Mutant("judge", "    if known.limit == limit:", "    if known:"),
    "another limit, another stable": Mutant("judge", "tests=Tests(comparisons=of_stable)", "tests=Tests()"),
    "another kind, the same tests": Mutant(
        "judge", "if any((each.bound is not None) is not by_bounds for each in comparisons):", "if False:"
    ),
    "evidence may lean": Mutant("judge", "if leans(metric)]:", "if False]:"),
    "failures do not lean": Mutant(
        "judge", "return metric.failures > 0 or weighing.leans(metric)", "return weighing.leans(metric)"
    ),
    "few requests are enough": Mutant(
        "judge", "metric.requests >= min_requests if metric.tests", "True if metric.tests"
    ),
    "a query need not pass": Mutant(
        "judge", "if metric.tests else metric.passes > 0", "if metric.tests else True"
    ),
    "few requests come first": Mutant(
        "judge",
        "    if divided[0] is HeldReason.SPLIT_MISMATCH:\n",
        "    if divided[0] is HeldReason.SPLIT_MISMATCH and _enough(metrics[0], analysis.min_requests):\n",
    ),
    "blindness does not hold": Mutant("judge", "    if verdict is Verdict.BLIND:\n", "    if False:\n"),
    "a soak asks for evidence": Mutant("judge", 'if analysis.advance != "Evidence" or window', "if window"),
    "evidence is not asked for": Mutant(
        "judge", 'if analysis.advance != "Evidence" or window', "if True or window"
    ),
    "evidence is asked for in testing": Mutant(
        "judge", "or window.phase is not Phase.SHIFTING or not", "or not"
    ),
    "evidence is asked for at 100%": Mutant("judge", "not 0 < window.weight < 100", "not 0 < window.weight"),
    "evidence is asked for at 0%": Mutant("judge", "not 0 < window.weight < 100", "not window.weight < 100"),
    "always answered": Mutant("judge", "answered=not any(", "answered=True or not any("),
    "what only reports must be answered": Mutant(
        "judge", "        if not metric.dry_run:\n", "        if True:\n"
    ),
    "stable need not be answered": Mutant(
        "judge", "yield compared and isinstance(", "yield False and isinstance("
    ),
    "the split is checked unsettled": Mutant(
        "judge", "if not window.settled or window.phase not in", "if window.phase not in"
    ),
    "the split is checked while testing": Mutant(
        "judge", "{Phase.SHIFTING, Phase.BAKING}", "{Phase.TESTING, Phase.SHIFTING, Phase.BAKING}"
    ),
    "the split is not checked while baking": Mutant(
        "judge", "{Phase.SHIFTING, Phase.BAKING}", "{Phase.SHIFTING}"
    ),
    "the split is checked over a gap": Mutant(
        "judge", "if before[metric.name].verdict is not Verdict.BLIND:", "if True:"
    ),
    "nobody may probe at 0%": Mutant(
        "judge", "    share = min(max(asked, _LEAST_SHARE), 1 - _LEAST_SHARE)\n", "    share = asked\n"
    ),
    "nothing at 0% is too little": Mutant(
        "judge", "    if abs(got - asked) <= _LEAST_SHARE:\n", "    if False:\n"
    ),
    "testers are not told apart": Mutant("judge", "testers=window.testers, apart", "testers=False, apart"),
    "a mismatch takes more": Mutant(
        "judge", "if against < math.log(split.ODDS):", "if against < 10 * math.log(split.ODDS):"
    ),
    "both versions are scraped at once": Mutant("judge", "apart=(scrapes + 1) / scrapes", "apart=1.0"),
    "a split is believed at once": Mutant("judge", "    if not scrapes:\n", "    if False:\n"),
    "nobody waits for the split": Mutant(
        "judge", "return divided if divided[0] else (None, because)", "return None, because"
    ),
    "every scrape takes an interval": Mutant(
        "judge", "weighed.scrape or analysis.interval.total_seconds()", "analysis.interval.total_seconds()"
    ),
    "slow requests are not bad": Mutant(
        "judge", "return requests, dict(slower).get(bound or 0.0, 0)", "return requests, 0"
    ),
}
