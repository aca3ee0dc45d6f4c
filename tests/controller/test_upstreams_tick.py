"""The tick and the Upstreams of versions: what is carried out, and what may not change under way."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.queries import Query
from analysis.samples import Answer, History
from config.canary import CanarySpec
from config.load import load_spec
from config.status import HeldReason, Phase, Status
from controller.errors import Refused
from controller.measuring import Measuring
from controller.rollout.moves import Form
from controller.rollout.observation import Routes
from situations import T0, V1, V2
from world import KEY, SPEC, ClockPort, RoutePort, World


@dataclass(frozen=True)
class Leaving(RoutePort):
    """Routes with an Upstream left over, until it is removed."""

    removed: list[Form] = field(default_factory=list)
    refusal: str = ""

    def see(self, spec: CanarySpec, form: Form | None) -> Routes:
        leftover = frozenset[str]() if self.removed else frozenset({"echo-v0"})
        return replace(super().see(spec, form), leftover=leftover)

    def remove(self, spec: CanarySpec, form: Form) -> None:
        if self.refusal:
            raise Refused(self.refusal)
        self.removed.append(form)


def leaving(world: World, **fields: Any) -> Leaving:
    port = Leaving(world, **fields)
    world.reconciler = replace(world.reconciler, routes=port)
    return port


def test_what_is_left_over_is_removed_once() -> None:
    world = World()
    port = leaving(world)
    world.rest()
    assert port.removed == [Form("v1")]
    assert world.status.phase is Phase.IDLE


def test_a_removal_that_is_refused_is_reported_and_stops_no_release() -> None:
    world = World()
    leaving(world, refusal="a route of somebody else needs it")
    world.run(lambda: world.status.held is not None)
    assert world.status.held is not None
    assert world.status.held.reason is HeldReason.STALLED
    assert world.status.held.message == "a route of somebody else needs it"
    world.weather.deploy("v2")
    world.run(lambda: world.status.phase is Phase.PROMOTED)


def test_how_versions_are_named_does_not_change_during_a_rollout() -> None:
    world = World()
    world.rest()
    world.weather.deploy("v2")
    world.run(lambda: world.status.phase is Phase.TESTING)
    world.edit(destinations="Upstreams")
    world.tick()
    assert world.status.reason.startswith(
        "spec.destinations cannot change while v2 is being released: undo that, or abort first"
    )
    world.edit(destinations=SPEC.get("destinations", "Subsets"))
    world.run(lambda: world.status.phase is Phase.PROMOTED)


def test_the_upstreams_that_are_the_versions_do_not_change_during_a_rollout() -> None:
    def versions(candidate: str) -> dict[str, Any]:
        return {
            field: {"name": name, "namespace": "gloo-system"}
            for field, name in (("stable", "v1"), ("candidate", candidate))
        }

    rest = {key: value for key, value in SPEC.items() if key not in {"workload", "upstream"}}
    world = World()
    world.change(spec={**rest, "versions": versions("v2")}, generation=2)
    world.rest()
    world.weather.deploy("v2")
    world.run(lambda: world.status.phase is Phase.TESTING)
    world.edit(versions=versions("v3"))
    world.tick()
    assert world.status.reason.startswith("spec.versions cannot change while v2 is being released")
    assert world.status.observed_spec is not None
    assert world.status.observed_spec["versions"] == versions("v2")
    world.edit(versions=versions("v2"))
    world.run(lambda: world.status.phase is Phase.PROMOTED)
    assert not world.operations["scale"]


@dataclass
class Asked:
    """Implements `controller.ports.Evidence`: answers nothing, and remembers what it was asked."""

    expressions: list[str] = field(default_factory=list)

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        self.expressions += [query.expression for query in queries]
        return T0, {query.id: () for query in queries}

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:
        return {query.id: () for query in queries}

    def history(
        self, queries: Sequence[Query], start: dt.datetime, end: dt.datetime, step: dt.timedelta
    ) -> Mapping[str, History]:
        return {query.id: () for query in queries}


def test_envoy_is_asked_about_the_upstream_of_each_version() -> None:
    asked, world = Asked(), World()
    spec = load_spec(
        {**SPEC, "destinations": "Upstreams", "analysis": {"metrics": [{"preset": "envoy-errors"}]}}
    )
    status = Status(stable=V1, candidate=V2)
    Measuring(asked, ClockPort(world)).weigh(KEY, spec, status)
    found = {re.search(r'"([^"|]*)\|', expression)[1] for expression in asked.expressions}  # type: ignore[index]
    assert found == {"echo-v1_gloo-system", "echo-v2_gloo-system"}
