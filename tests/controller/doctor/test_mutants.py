"""The table of what can be wrong is worth something: it notices every one of these mistakes in the doctor."""

import importlib
import sys
from pathlib import Path

import pytest

from ailments import missed
from controller import doctor
from mutants import Mutant


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


CHECKS = ("application", "examine", "leading", "metrics", "routes", "upstream")
"""What is copied; the values that go in and out stay the same types."""

MUTANTS = {
    "the application is not looked at": Mutant("examine", "    yield from check_application(case)\n", ""),
    "the Upstream is not looked at": Mutant("examine", "    yield from check_upstream(case)\n", ""),
    "the routes are not looked at": Mutant("examine", "    yield from check_routes(case)\n", ""),
    "selectors are put in place of others": Mutant(
        "upstream", '[*declared, {"keys": [case.target.version_label]}]', "declared"
    ),
    "NO_FALLBACK is always offered": Mutant("upstream", "    if against:\n", "    if False:\n"),
    "NO_FALLBACK is offered although routes are not known": Mutant(
        "upstream", "lost or unread or keyless)", "lost or keyless)"
    ),
    "NO_FALLBACK is offered without subsets": Mutant(
        "upstream", "lost or unread or keyless)", "lost or unread)"
    ),
    "an open route is fine without a fallback": Mutant(
        "upstream", "policy == _NONE and lost:", "policy == _NONE and False:"
    ),
    "a missing policy is none": Mutant("upstream", 'subsets.get("fallbackPolicy") or _ANY', "_NONE"),
    "the first of two Upstreams is named": Mutant(
        "upstream", "    if len(found) != 1:\n", "    if not found:\n"
    ),
    "an unread Upstream is missing": Mutant(
        "upstream", "if why := case.gateway.unread.get(str(UPSTREAMS)):", 'if why := "":'
    ),
    "silence is acceptance": Mutant(
        "upstream", "        case Acceptance.ACCEPTED:\n", "        case _ if True:\n"
    ),
    "open routes are served": Mutant("leading", "(lead.loose or lead.mixed):", "False:"),
    "versions without pods are served": Mutant(
        "leading", "(podless := lead.versions - ready)", "(podless := set())"
    ),
    "pods that are not ready are pods": Mutant("leading", "if each.ready > 0}", "}"),
    "tables are not looked at": Mutant("leading", "    yield from gateway.tables\n", ""),
    "groups are not looked at": Mutant("leading", "if address(each) in used)", "if False)"),
    "everything is managed": Mutant(
        "leading", "if own is not None and (mains is None or own.loose):", "if False:"
    ),
    "a managed object is managed as a whole": Mutant(
        "leading", "(mains is None or own.loose)", "mains is None"
    ),
    "twins are not looked for": Mutant(
        "leading", "if ours is not None and _service(document) == ours", "if False"
    ),
    "another Service is a twin": Mutant("leading", "and _service(document) == ours and", "and"),
    "mixed subsets can be moved": Mutant("routes", "    elif lead.mixed:\n", "    elif False:\n"),
    "who stayed behind is named all the same": Mutant(
        "routes", "if case.serving is not None and lead.version != case.serving.version:", "if False:"
    ),
    "what is kept is at risk": Mutant("routes", 'decommission == "Keep" or', 'decommission == "Never" or'),
    "testers always arrive": Mutant("routes", "if taken and not versions_of(earlier, target):", "if False:"),
    "a match that leaves nothing is fine": Mutant("routes", "    if not wanted:\n", "    if False:\n"),
    "pending routes are fine": Mutant(
        "routes",
        '        case Acceptance.PENDING:\n            words = "status',
        '        case Acceptance.PENDING if False:\n            words = "status',
    ),
    "pods without a label are fine": Mutant(
        "application", "if not _labels_of(each).get(label)]", "if False]"
    ),
    "any number of Deployments may share a version": Mutant(
        "application", "if twins := shared_version(case.workloads, version):", "if twins := ():"
    ),
    "claims are passed over": Mutant("application", "    if case.claimed_by:\n", "    if False:\n"),
    "the newest version serves": Mutant("application", "        oldest = min(\n", "        oldest = max(\n"),
    "who is not followed is fine": Mutant(
        "application", "    if case.status.observed_generation != generation:\n", "    if False:\n"
    ),
    "nobody needs to be asked": Mutant("application", "held is not None and held.needs_human:", "False:"),
}
HARMLESS = {"the newest version serves"}
"""Any version will do for a table: people are told to look."""


@pytest.mark.parametrize("name", sorted(MUTANTS.keys() - HARMLESS))
def test_the_table_notices(name: str, tmp_path: Path) -> None:
    package = f"doctor_{tmp_path.name}"
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").touch()
    for module in CHECKS:
        text = (Path(doctor.__path__[0]) / f"{module}.py").read_text()
        if module == MUTANTS[name].module:
            line = MUTANTS[name].line
            assert text.count(line) == 1, f"{line!r} is no longer the one place to break"
            text = text.replace(line, MUTANTS[name].becomes)
        for other in CHECKS:
            text = text.replace(f"from controller.doctor.{other} import", f"from {package}.{other} import")
        (tmp_path / package / f"{module}.py").write_text(text)
    sys.path.insert(0, str(tmp_path))
    try:
        examine = importlib.import_module(f"{package}.examine").examine
        try:
            noticed = next(missed(examine), "")
        except ValueError as error:  # a mistake may also end the doctor
            noticed = str(error)
        assert noticed
    finally:
        sys.path.remove(str(tmp_path))
        for module in [each for each in sys.modules if each.split(".")[0] == package]:
            del sys.modules[module]
