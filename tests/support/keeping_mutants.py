"""Mistakes in what is kept of a rollout, and in judging it again."""

from mutants import Mutant


KEEPING = {
    "a window that is missing is passed over": Mutant(
        "record", "        if number > due:", "        if False:"
    ),
    "a window is judged again without those before it": Mutant(
        "record", "        memory = judgement.memory", "        pass"
    ),
    "all windows had settled": Mutant("record", '"settled": window.settled', '"settled": True'),
    "testers are forgotten": Mutant("record", '{"testers": True} if window.testers else {}', "{}"),
    "when counting began is forgotten": Mutant(
        "record", '{} if window.since is None else {"since": window.since.isoformat()}', "{}"
    ),
    "a query is what the tests know": Mutant("record", '        metric.pop("query", None)', "        pass"),
    "digits do not matter": Mutant("record", "_digest(json.dumps(document, sort_keys=True))", '""'),
    "a refusal is a failure like others": Mutant(
        "record", '{"refused": True} if reading.refused else {}', "{}"
    ),
    "series that are gone are there": Mutant("record", '{} if series else {"series": False}', "{}"),
    "settings differ in metrics only": Mutant(
        "record", "model_dump_json(by_alias=True)", 'model_dump_json(by_alias=True, include={"metrics"})'
    ),
    "the beginning stays where it was": Mutant(
        "record", "        beginning = begin(each.judgement.memory,", "        begin(each.judgement.memory,"
    ),
    "only verdicts are compared": Mutant("record", "in dict.fromkeys((*new, *old))", 'in ("verdict",)'),
    "a beginning has no number": Mutant("record", '"number": memory.weighed.windows,', '"number": 0,'),
    "the last window comes twice": Mutant("ledger", "> self.last]", ">= self.last]"),
    "lost windows are papered over": Mutant("ledger", "lost = bool(fresh) and", "lost = False and"),
    "any number of windows": Mutant("ledger", "len(bounded.windows) > MOST_WINDOWS or", ""),
    "any size of windows": Mutant("ledger", "or bounded.size > MOST_BYTES", ""),
    "what the tests knew goes with the windows": Mutant(
        "ledger", "beginning = compact(beginning, old, self.analyses())", "pass"
    ),
    "what cannot be judged again stays": Mutant(
        "ledger", "                beginning = None", "                raise"
    ),
    "settings stay for ever": Mutant("ledger", "if name in needed", "if name"),
    "settings go with each edit": Mutant("ledger", "{**self.settings, **settings}", "dict(settings)"),
    "windows stand in any order": Mutant("ledger", "tuple(sorted(records, key=number_of))", "tuple(records)"),
    "everything goes at once": Mutant("ledger", "len(self.windows) // PARTS", "len(self.windows)"),
}
