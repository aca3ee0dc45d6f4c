"""The tests of routes in all kinds of objects are worth something: they notice each of these mistakes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from controller import gloo


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


HERE = Path(__file__).parent
RUN = """
import json, os, sys
import config.canary, hypothesis, jsonschema, pytest
import controller.gloo

options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:xdist", "-p", "no:cov"]
codes = {}
for name, folder, tests in json.load(sys.stdin):
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        controller.gloo.__path__.insert(0, folder)
        os._exit(pytest.main([*options, tests]))
    codes[name] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps(codes))
"""
"""Runs each test file on a copy of one module that takes the place of the real one; exit codes to stdout."""


class Mutant(NamedTuple):
    """One place in one module, what it becomes, and the test that has to fail."""

    module: str
    line: str
    becomes: str
    noticed_by: str


MUTANTS = {
    "all routes are chosen": Mutant(
        "scope", "        if not self.names and not self.prefixes:", "        if True:", "test_roles"
    ),
    "names are enough": Mutant(
        "scope", " or not self.prefixes.isdisjoint(prefixes_of(route))", "", "test_roles"
    ),
    "any choice that refuses refuses": Mutant(
        "scope", "return any(choice.takes", "return all(choice.takes", "test_roles"
    ),
    "methods can be narrowed": Mutant(
        "scope", 'bool(matcher.get("methods") and match.methods)', "False", "test_delegation"
    ),
    "headers have a case": Mutant(
        "scope",
        "{each.name.lower() for each in match.headers}",
        "{each.name for each in match.headers}",
        "test_delegation",
    ),
    "sorting does not matter": Mutant(
        "scope", "if self.mixed and match.methods", "if False and match.methods", "test_overview"
    ),
    "a group is a version": Mutant(
        "roles", "for at in general.difference(grouped)", "for at in general", "test_roles"
    ),
    "a group is no main route": Mutant(
        "roles", "return tuple(at for at in routes if at in grouped)", "return ()", "test_roles"
    ),
    "routes that were not chosen have testers": Mutant(
        "roles", " and scope.takes(routes[later]))", ")", "test_roles"
    ),
    "a wide testing route is written": Mutant(
        "routes", "() if plan.scope.objections(match) else ", "", "test_routes"
    ),
    "testers stay with the group": Mutant(
        "routes", '{"single", "multi", "upstreamGroup"}', '{"single", "multi"}', "test_routes"
    ),
    "a group is changed without a look": Mutant(
        "routes",
        'return ({"op": "test", "path": place, "value": before}, *_difference(place, before, after))',
        "return tuple(_difference(place, before, after))",
        "test_routes",
    ),
    "a table is a virtual service": Mutant(
        "documents", '        case "RouteTable":\n            return "/spec/routes"\n', "", "test_routes"
    ),
    "a group has a home": Mutant(
        "documents", 'home = "" if kind_of(document) == UPSTREAM_GROUP else ', "home = ", "test_delegation"
    ),
    "the newer way wins": Mutant(
        "delegation", "reference := old or delegate.get", "reference := delegate.get", "test_delegation"
    ),
    "conditions are forgotten further down": Mutant(
        "delegation", "(*visit.above, *(each", "((), *(each", "test_delegation"
    ),
    "mixed is forgotten further down": Mutant(
        "delegation", "visit.mixed or weights", "weights", "test_delegation"
    ),
    "a second way teaches nothing": Mutant(
        "delegation", "return self.at != known.at or news", "return self.at != known.at", "test_delegation"
    ),
    "every group is managed": Mutant(
        "delegation", "None if address in self.named else shelf", "shelf", "test_delegation"
    ),
    "selectors look everywhere": Mutant(
        "selectors", 'set(selector.get("namespaces") or (home,))', '{"*"}', "test_selectors"
    ),
    "one expression is enough": Mutant("selectors", "and all(_holds", "and any(_holds", "test_selectors"),
    "what says nothing selects all": Mutant(
        "selectors", "not all(map(_is_valid, expressions))", "False", "test_selectors"
    ),
    "missing tables do not matter": Mutant("overview", "        and not missing\n", "", "test_overview"),
    "misspelt choices do not matter": Mutant(
        "overview", "if not any(map(choice.takes, routes)):", "if False:", "test_overview"
    ),
    "as much is less": Mutant(
        "overview",
        "reading.weight <= (form.weight or 0)",
        "reading.weight < (form.weight or 0)",
        "test_overview",
    ),
    "open routes that were not chosen are fine": Mutant(
        "reading", "if unchosen := next(open_routes, None):", "if unchosen := None:", "test_overview"
    ),
    "groups that were not named are fine": Mutant(
        "reading",
        "    if unnamed := sorted(scope.unnamed & {group_of(route) for route in routes}):",
        "    if unnamed := None:",
        "test_overview",
    ),
    "everything rises whatever failed": Mutant("client", " and not (rise and errors)", "", "test_objects"),
    "what falls comes last": Mutant("client", "in (False, True):", "in (True, False):", "test_objects"),
    "a missing object is forgotten": Mutant(
        "client",
        "found, errors = reach.ours, self._absent(spec)",
        "found, errors = reach.ours, list[EdgeError]()",
        "test_objects",
    ),
    "tables that were not read are none": Mutant(
        "client", "if unread := self._holders.unread:", "if unread := None:", "test_objects"
    ),
    "any shadowing is ours": Mutant(
        "shadowing",
        "if there is not None and not _is_ours(there, target, form):",
        "if False:",
        "test_shadowing",
    ),
    "a shadowing of somebody else is kept quiet": Mutant(
        "shadowing",
        "if form is None or not _is_ours",
        "if form is not None and not _is_ours",
        "test_shadowing",
    ),
    "copies to the candidate are ours without having been asked for": Mutant(
        "shadowing", "(form.shadowing is not None and ref", "(ref", "test_shadowing"
    ),
    "copies once made go on": Mutant(
        "shadowing", '"/".join(ref) in form.unshadowed or ', "", "test_shadowing"
    ),
    "copies of another share are left": Mutant(
        "shadowing",
        " or (form.shadowing is not None and ref == _address(target, form))",
        "",
        "test_shadowing",
    ),
    "stable gets the copies": Mutant(
        "shadowing", " or form.candidate not in target.upstreams.values()", "", "test_shadowing"
    ),
    "all versions get the copies": Mutant("shadowing", " or not target.by_upstream", "", "test_shadowing"),
    "other options are lost": Mutant(
        "shadowing",
        '"options": {**others, "shadowing": wanted}',
        '"options": {"shadowing": wanted}',
        "test_shadowing",
    ),
    "other options go with ours": Mutant(
        "shadowing", '    if others:\n        return {**route, "options": others}\n', "", "test_shadowing"
    ),
    "options that say nothing are tidied up": Mutant(
        "shadowing", "    if there == wanted:\n        return route\n", "", "test_shadowing"
    ),
    "routes to a group are not copied": Mutant(
        "routes",
        "return {**edits, main: [*added, base]}",
        "return {**edits, main: [*added, routes[main]]}",
        "test_shadowing",
    ),
    "what must not be there must be there": Mutant(
        "matchers", '        condition["invertMatch"] = True\n', "        pass\n", "test_matchers_properties"
    ),
    "methods are not narrowed": Mutant(
        "matchers",
        "[method for method in allowed if method in match.methods]",
        "[*allowed]",
        "test_matchers_properties",
    ),
    "strict is as good as open": Mutant(
        "grants",
        "return not self.tenancy.strict or not {EVERYWHERE",
        "return True or not {EVERYWHERE",
        "test_grants",
    ),
    "who is granted anything is granted everything": Mutant(
        "grants", "not {EVERYWHERE, self.home}.isdisjoint(", "bool(", "test_grants"
    ),
    "its own namespace has to be allowed": Mutant(
        "grants", "namespace == self.home or not", "not", "test_grants"
    ),
    "every namespace is allowed": Mutant(
        "grants", "isdisjoint({EVERYWHERE, namespace})", "isdisjoint({*self.tenancy.allowed})", "test_grants"
    ),
    "what is delegated to needs no grant": Mutant(
        "grants", "found[at].named or not reading.elsewhere", "found[at].named", "test_grants"
    ),
    "what leads elsewhere needs a grant": Mutant(
        "grants", "found[at].named or not reading.elsewhere", "True", "test_grants"
    ),
    "what is taken back is led back": Mutant("grants", "if readings[at].unpinned", "if False", "test_grants"),
    "an Upstream needs no grant": Mutant(
        "grants", "elif document is not None and not self.covers(document):", "elif False:", "test_grants"
    ),
    "a rise is a way back": Mutant(
        "grants", "if form is None or rises(place, target, form):", "if form is None:", "test_grants"
    ),
    "a rise does not name the grant": Mutant(
        "grants", "if not self.tenancy.strict or namespace_of", "if True or namespace_of", "test_grants"
    ),
    "a rise needs no grant": Mutant("client", "if reach.denials and not back:", "if False:", "test_grants"),
    "a clone needs no grant": Mutant("client", "(back and self._own.has_any(spec))", "back", "test_grants"),
    "a clone may always be removed": Mutant(
        "client", "if denied := self._denied_upstreams(spec):", "if denied := ():", "test_grants"
    ),
    "what is taken back holds a rollback": Mutant(
        "client",
        "whole.in_form or _is_in_form_as_far_as_it_is_ours(whole, reach, standing.target, form)",
        "whole.in_form",
        "test_grants",
    ),
    "conditions of the main route are lost": Mutant(
        "matchers", '[*_list(matcher, "headers"), *map(', "[*map(", "test_matchers_properties"
    ),
}


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Run all mutants; give pytest's exit codes, 1 where a test has failed."""
    orders = []
    for name, mutant in MUTANTS.items():
        folder = tmp_path_factory.mktemp("mutant")
        text = (Path(gloo.__path__[0]) / f"{mutant.module}.py").read_text()
        assert text.count(mutant.line) == 1, f"{mutant.line!r} is no longer the one place to break"
        (folder / f"{mutant.module}.py").write_text(text.replace(mutant.line, mutant.becomes))
        orders.append((name, str(folder), str(HERE / f"{mutant.noticed_by}.py")))
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(
        command, input=json.dumps(orders), stdout=subprocess.PIPE, text=True, check=True, timeout=280
    )
    found: dict[str, int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", MUTANTS)
def test_every_mistake_is_noticed(name: str, codes: dict[str, int]) -> None:
    assert codes[name] == 1
