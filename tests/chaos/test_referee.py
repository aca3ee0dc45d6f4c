"""A right run passes; whatever is bent in it is told, by the invariant that it breaks and by no other."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chaos.findings import Invariant
from chaos.invariants.outcomes import at_least
from chaos.records import ACCESS, AUDIT, DEEDS, LOAD, Second, What, Write
from chaos.referee import examine
from chaotic import (
    APP,
    BEGAN,
    CANARIES,
    DEPLOYMENTS,
    GLOO,
    HUMAN,
    UPSTREAMS,
    US,
    VIRTUAL_SERVICES,
    Document,
    Run,
    deployment,
    entry,
    for_testers,
    iso,
    main,
    multi,
    pod,
    revision,
    right,
    single,
    virtual_service,
    write,
)


RECORDED = Path(__file__).parents[1] / "fixtures" / "chaos"
COMMAND = "crossfade.dev/command"
ORDER = json.dumps({"do": "promote", "id": "promote", "by": "ann", "reason": ""})
Bend = Callable[[Run], object]


def routes(document: Document) -> list[Document]:
    found: list[Document] = document["spec"]["virtualHost"]["routes"]
    return found


def destinations(document: Document) -> list[Document]:
    """Give the destinations of the main route."""
    found: list[Document] = routes(document)[-1]["routeAction"]["multi"]["destinations"]
    return found


def status(name: str, **changes: Any) -> Bend:
    return lambda run: run.bend(name, lambda document: document["status"].update(changes))


def statuses(name: str, **changes: Any) -> Bend:
    return lambda run: run.bend_from(name, lambda found: found.update(changes))


def routed(name: str, *found: Document) -> Bend:
    return lambda run: run.bend(name, lambda document: routes(document).__setitem__(slice(1, None), found))


def wrote(time: float, resource: str, document: Document, verb: str = "patch", who: str = US) -> Bend:
    made = write(time, who, resource, document, verb)
    return lambda run: run.writes.__setitem__(f"more {len(run.writes)}", made)


def both(*bends: Bend) -> Bend:
    def bend(run: Run) -> None:
        for each in bends:
            each(run)

    return bend


def weight(name: str, at: int, value: int) -> Bend:
    return lambda run: run.bend(name, lambda document: destinations(document)[at].update(weight=value))


def history(name: str, at: int = 0, **changes: Any) -> Bend:
    """Change an entry in this record and in all later ones, wherever it stands there."""

    def change(found: Document) -> None:
        entries = found["history"]
        entries[at + len(entries) - 1 if name == "promoted" else at].update(changes)

    return lambda run: run.bend_from(name, change)


def released(version: str, trait: str) -> Bend:
    def bend(run: Run) -> None:
        run.deeds = [
            replace(deed, details={**deed.details, "trait": trait})
            if deed.details.get("version") == version
            else deed
            for deed in run.deeds
        ]

    return bend


def did(what: What, began: float, ended: float, app: str = APP, **details: Any) -> Bend:
    return lambda run: run.did(what, began, ended, app, **details)


def ordered(time: float, do: str) -> Bend:
    """Let a human order something, which nobody takes yet."""
    annotation = json.dumps({"do": do, "id": do, "by": "ann", "reason": ""})

    def bend(run: Run) -> None:
        earlier = [
            each for each in run.writes.values() if each.resource == CANARIES and each.time < BEGAN + time
        ]
        current = max(earlier, key=lambda each: each.time).object
        given = {**current, "metadata": {**current["metadata"], "annotations": {COMMAND: annotation}}}
        wrote(time, CANARIES, given, who=HUMAN)(run)
        wrote(time + 0.01, CANARIES, dict(current), who=HUMAN)(run)

    return bend


def aside(share: int) -> Document:
    """Give a destination of somebody else's on a managed route."""
    return {"destination": {"upstream": {"name": "else", "namespace": GLOO}}, "weight": share}


def labelled(team: str) -> Document:
    found = virtual_service(main(single("v2")))
    found["metadata"]["labels"]["team"] = team
    return found


def uncounted(run: Run) -> None:
    """Forget what users got: errors of a version that is called good would be a breach of their own."""
    run.seconds.clear()


def in_spec(**fields: Document) -> Bend:
    """Let the Canary say something else from the beginning."""

    def bend(run: Run) -> None:
        for name, each in list(run.writes.items()):
            if each.resource == CANARIES:
                run.bend(name, lambda document: document["spec"].update(fields))

    return bend


def later(name: str, seconds: float) -> Bend:
    return lambda run: run.writes.__setitem__(
        name, replace(run.writes[name], time=run.writes[name].time + seconds)
    )


def only_until(time: float) -> Bend:
    """Let the run end early, before the next release; what users got is not told."""

    def bend(run: Run) -> None:
        run.writes = {name: each for name, each in run.writes.items() if each.time <= BEGAN + time}
        run.deeds = [deed for deed in run.deeds if deed.ended <= BEGAN + time]
        run.requests, run.seconds = [], []

    return bend


def shared(name: str, share: int) -> Bend:
    return lambda run: run.bend(name, lambda document: destinations(document).append(aside(share)))


def without_orders(document: Mapping[str, Any]) -> Document:
    return {**document, "metadata": {**document["metadata"], "annotations": {}}}


def told(run: Run) -> set[Invariant]:
    return {breach.invariant for breach in run.judged().breaches}


def test_right_run_has_no_breach_and_true_figures() -> None:
    report = right().judged()
    assert [breach.words() for breach in report.breaches] == []
    figures = report.figures
    assert figures.rollouts == {("good", "Promoted"): 1, ("bad", "RolledBack"): 1}
    assert (figures.ended, figures.writes, figures.failed, figures.false_rollbacks) == (2, 27, 4, 0)
    assert figures.requests == 140 + 480 + 40
    assert figures.delays == (0.0,)


NOTHING = virtual_service(main(single("v2")))
WEIGHTS = {
    "sum of 90": both(weight("routes-50", 0, 45), weight("routes-50", 1, 45)),
    "sum of 0": both(weight("routes-50", 0, 0), weight("routes-50", 1, 0)),
    "sum of 110": both(weight("routes-50", 0, 60), weight("routes-50", 1, 50)),
    "share of another destination": both(
        shared("routes-0", 100), shared("routes-50", 200), shared("routes-100", 200)
    ),
}

EARNED = {
    "routes above the record": routed("routes-50", for_testers("v2"), main(multi(v1=40, v2=60))),
    "routes before any record of a rise": routed("routes-0", for_testers("v2"), main(multi(v1=80, v2=20))),
    "another version than recorded": routed("routes-50", for_testers("v2"), main(multi(v1=50, v9=50))),
    "routes of all versions": routed("routes-50", for_testers("v2"), main(single(None))),
    "the candidate after its rollback": both(
        routed("routes-back", main(multi(v2=40, v3=60))),
        wrote(36.5, VIRTUAL_SERVICES, virtual_service(main(single("v2")))),
    ),
    "testers of nobody's rollout": routed("pin", for_testers("v2"), main(single("v1"))),
    "pinned before anything was recorded": lambda run: run.without("adopt"),
    "rise without an evaluation": status("rise-50", evaluatedAt=iso(5.9)),
    "rise by an evaluation before the step": both(
        status("weighed-0", evaluatedAt=iso(4)), status("rise-50", evaluatedAt=iso(4.5))
    ),
    "rise by an evaluation before Gloo had accepted": status("weighed-50", stepStartedAt=iso(11.95)),
    "rise although harmful": status("rise-100", verdict="Harmful"),
    "rise although blind": status("rise-100", verdict="Blind"),
    "first rise although harmful": status("rise-50", verdict="Harmful"),
    "rise with nothing counted": status("rise-100", metrics=[{"name": "errors"}]),
    "finished although blind": status("baked", verdict="Blind"),
    "finished without an evaluation": status("baked", evaluatedAt=iso(14.9)),
    "hurry that nobody ordered": both(
        status("weighed-50", hurry="Step"), status("rise-100", evaluatedAt=iso(8.9))
    ),
    "rise that nobody approved": in_spec(shifting={"steps": [{"weight": 50, "approval": "Manual"}]}),
    "rise of what runs no more": both(
        wrote(7.5, DEPLOYMENTS, deployment("v2", 1, "-changed"), who=HUMAN),
        later("rise-100", 2),
        later("routes-100", 2),
        only_until(15),
    ),
}

HARM = {
    "bad": released("v2", "bad"),
    "slow": released("v2", "slow"),
    "crashing": released("v2", "crashing"),
    "never ready": released("v2", "never-ready"),
    "bad, ordered in another rollout": both(released("v2", "bad"), ordered(1.5, "promote")),
}

HEALTH = {
    "without end": both(
        lambda run: run.without("rolled-back"),
    ),
    "never begun": did(What.RELEASE, 39, 39.1, version="v4", trait="good"),
    "rolled back for no reason": both(
        released("v3", "crashing"),
        history("rolled-back", reason="not ready while it carries traffic"),
        released("v3", "good"),
        uncounted,
    ),
    "aborted by nobody": both(
        released("v3", "good"),
        history("rolled-back", reason="aborted by ann"),
        uncounted,
    ),
    "blind in good sight": both(
        released("v3", "good"),
        history("rolled-back", reason="blind for 5s: errors"),
        uncounted,
    ),
    "superseded by nobody": both(
        released("v3", "good"),
        lambda run: run.bend_from("back", lambda found: found.update(ending={"outcome": "Superseded"})),
        lambda run: run.bend("rolled-back", lambda document: document["status"].pop("ending")),
        history("rolled-back", outcome="Superseded", reason="v4 is wanted instead"),
        uncounted,
    ),
    "too many false rollbacks": both(
        released("v3", "good"),
        in_spec(analysis={"falseRollbackRate": "0.01%"}),
        uncounted,
    ),
}

STABLE = {
    "stable itself": wrote(23, DEPLOYMENTS, deployment("v2", 0)),
    "stable deleted": wrote(23, DEPLOYMENTS, deployment("v2"), "delete"),
    "during a rollout": wrote(9.5, DEPLOYMENTS, deployment("v1", 0)),
    "the old one while the next is released": later("stop-v1", 11),
    "before the baking was over": in_spec(baking={"duration": "6s"}),
    "never seen at 100%": statuses("weighed-100", weightSeen=60),
    "a version that nobody replaced": wrote(39, DEPLOYMENTS, deployment("v3", 0)),
    "what a route leads to": both(
        wrote(21.2, VIRTUAL_SERVICES, virtual_service(main(single("v2")), main(single("v1"))), who=HUMAN),
        only_until(21.5),
        wrote(28, DEPLOYMENTS, deployment("v1", 0)),
    ),
}

FOREIGN = {
    "a label": lambda run: run.bend("routes-50", lambda d: d["metadata"]["labels"].update(team="us")),
    "the domains": lambda run: run.bend(
        "routes-50", lambda d: d["spec"]["virtualHost"].update(domains=["all.test"])
    ),
    "an option of the main route": lambda run: run.bend(
        "routes-50", lambda d: routes(d)[-1]["options"].update(timeout="1s")
    ),
    "another's route": lambda run: run.bend(
        "routes-50", lambda d: routes(d)[0]["routeAction"]["single"]["upstream"].update(name="us")
    ),
    "another's route gone": lambda run: run.bend("routes-back", lambda d: routes(d).pop(0)),
    "a route without conditions added": lambda run: run.bend(
        "routes-50", lambda d: routes(d).insert(1, {**main(single("v1")), "matchers": [{"prefix": "/x"}]})
    ),
    "more of a Deployment": lambda run: run.bend(
        "stop-v1", lambda d: d["spec"]["template"]["spec"].update(hostNetwork=True)
    ),
    "the spec of a Canary": lambda run: run.bend("weighed-50", lambda d: d["spec"].update(paused=True)),
    "an annotation of a Canary": lambda run: run.bend(
        "weighed-50", lambda d: d["metadata"]["annotations"].update(note="x")
    ),
    "somebody's Upstream": wrote(
        5, UPSTREAMS, {"kind": "Upstream", "metadata": {"name": "else", "namespace": GLOO}}
    ),
    "somebody's ConfigMap": wrote(
        5, "configmaps", {"kind": "ConfigMap", "metadata": {"name": "x", "namespace": APP}}
    ),
    "a Service": wrote(5, "services", {"kind": "Service", "metadata": {"name": "x", "namespace": APP}}),
    "routes deleted": wrote(39, VIRTUAL_SERVICES, NOTHING, "delete"),
    "what a human meant": did(
        What.EDIT,
        30,
        30.1,
        object=f"VirtualService {GLOO}/{APP}",
        how="a label was set",
        meant={"/metadata/labels/team": "them"},
    ),
    "a report of Gloo's": lambda run: run.bend(
        "routes-50", lambda d: d.update(status={"statuses": {GLOO: {"state": "Accepted"}}})
    ),
}

WAY_BACK = {
    "users long after": lambda run: run.served("v3", 41.2, 42),
    "one user long after": lambda run: run.served("v3", 45, 45.1),
    "although Prometheus was away": both(
        did(What.FAULT, 35, 45, app="", part="prometheus", kind="stopped"),
        lambda run: run.served("v3", 42, 43),
    ),
}

HISTORY = {
    "another revision": history("promoted", revision=revision("v9")),
    "another outcome": both(history("promoted", outcome="Superseded"), released("v2", "slow")),
    "an outcome that was not decided": history("rolled-back", outcome="Cancelled"),
    "another beginning": history("promoted", startedAt=iso(2)),
    "an end before it was": history("promoted", endedAt=iso(10)),
    "an end to come": history("promoted", endedAt=iso(30)),
    "another highest weight": history("promoted", highestWeight=50),
    "no entry": lambda run: run.bend("rolled-back", lambda d: d["status"]["history"].pop(0)),
    "an entry lost": lambda run: run.bend("rolled-back", lambda d: d["status"]["history"].pop(1)),
    "an entry rewritten": lambda run: run.bend(
        "rolled-back", lambda d: d["status"]["history"][1].update(highestWeight=60)
    ),
    "an entry too many": lambda run: run.bend(
        "opened", lambda d: d["status"].update(history=[entry("v2", "RolledBack", 3.2, 4, 0, "harmful")])
    ),
    "back, although a route still leads there": lambda run: run.without("routes-back"),
}

USERS = {
    "errors of a good version": lambda run: run.got("v2", 30, 31, _500=1),
    "nobody answers": lambda run: run.got("none", 20, 21, _503=3),
    "nobody answers users, while testers meet a version that crashes": both(
        released("v3", "crashing"), only_until(31.5), lambda run: run.got("none", 29, 30, _503=1)
    ),
    "no route": lambda run: run.got("none", 20, 21, _404=1),
    "cut connections": lambda run: run.got("none", 20, 21, ServerDisconnectedError=1),
    "errors of a bad version's neighbour": lambda run: run.got("v2", 33, 34, _503=1),
    "long after a fault of the data path": both(
        did(What.FAULT, 2, 3, app="", part="envoy", kind="killed"),
        lambda run: run.got("none", 30, 31, _503=1),
    ),
}

ALL = {
    Invariant.WEIGHTS: WEIGHTS,
    Invariant.EARNED: EARNED,
    Invariant.HARM: HARM,
    Invariant.HEALTH: HEALTH,
    Invariant.STABLE: STABLE,
    Invariant.FOREIGN: FOREIGN,
    Invariant.WAY_BACK: WAY_BACK,
    Invariant.HISTORY: HISTORY,
    Invariant.USERS: USERS,
}


@pytest.mark.parametrize(
    ("invariant", "bend"),
    [
        pytest.param(which, bend, id=f"{which}: {name}")
        for which, bends in ALL.items()
        for name, bend in bends.items()
    ],
)
def test_what_is_wrong_is_told_by_its_own_invariant(invariant: Invariant, bend: Bend) -> None:
    run = right()
    bend(run)
    assert {breach.words() for breach in run.judged().breaches if breach.invariant is not invariant} == set()
    assert told(run) == {invariant}


SEVERAL: list[tuple[Invariant, str, Bend]] = [
    (
        Invariant.WEIGHTS,
        "empty list",
        routed("routes-50", for_testers("v2"), main({"multi": {"destinations": []}})),
    ),
    (Invariant.WEIGHTS, "empty single", routed("routes-v2", main({"single": {}}))),
    (
        Invariant.WEIGHTS,
        "negative",
        both(weight("routes-50", 0, 150), weight("routes-50", 1, -50)),
    ),
    (
        Invariant.EARNED,
        "another rollout in the same moment",
        lambda run: run.bend_from("rise-50", lambda found: found.update(startedAt=iso(6.5))),
    ),
    (
        Invariant.FOREIGN,
        "routes gone that no human deleted",
        wrote(39, VIRTUAL_SERVICES, virtual_service(), "delete", who="gloo"),
    ),
    (
        Invariant.FOREIGN,
        "a Deployment made",
        wrote(39, DEPLOYMENTS, deployment("v7"), "create"),
    ),
    (
        Invariant.FOREIGN,
        "copies for somebody else",
        lambda run: run.bend(
            "routes-50",
            lambda d: routes(d)[-1]["options"].update(shadowing={"upstream": {"name": "else"}}),
        ),
    ),
    (
        Invariant.FOREIGN,
        "a path that is not there",
        did(
            What.EDIT,
            30,
            30.1,
            object=f"VirtualService {GLOO}/{APP}",
            how="a route was added",
            meant={"/spec/virtualHost/routes/7/name": "x"},
        ),
    ),
    (
        Invariant.HISTORY,
        "a beginning that was recorded late",
        lambda run: run.bend_from("found", lambda found: found.update(startedAt=iso(-9))),
    ),
    (Invariant.STABLE, "before anything was recorded", wrote(0.5, DEPLOYMENTS, deployment("v1", 0))),
    (
        Invariant.USERS,
        "testers of nobody",
        lambda run: run.seconds.append(Second(APP, True, BEGAN + 20, BEGAN + 21, {"none": {"503": 1}})),  # noqa: FBT003
    ),
]


@pytest.mark.parametrize(
    ("invariant", "bend"), [pytest.param(which, bend, id=name) for which, name, bend in SEVERAL]
)
def test_what_is_wrong_in_several_ways_is_told_by_its_own_invariant_too(
    invariant: Invariant, bend: Bend
) -> None:
    run = right()
    bend(run)
    assert invariant in told(run)


EXPLAINED: dict[str, Bend] = {
    "bad, promoted by order": both(released("v2", "bad"), ordered(10, "promote")),
    "hurried": both(
        ordered(10, "promote"), status("rise-100", evaluatedAt=iso(8.9), lastCommand="promote"), uncounted
    ),
    "hurried, as remembered": both(
        ordered(8.5, "promote-full"),
        status("weighed-50", hurry="Full"),
        status("rise-100", evaluatedAt=iso(8.9)),
    ),
    "approved": both(
        in_spec(shifting={"steps": [{"weight": 50, "approval": "Manual"}]}),
        ordered(10, "approve"),
        status("rise-100", lastCommand="approve"),
    ),
    "approved, as remembered": both(
        in_spec(shifting={"steps": [{"weight": 50, "approval": "Manual"}]}),
        status("weighed-50", approved=True),
    ),
    "harmful in a dry run": both(in_spec(analysis={"dryRun": True}), status("rise-100", verdict="Harmful")),
    "one false rollback of two": both(released("v3", "good"), in_spec(analysis={}), uncounted),
    "aborted": both(
        released("v3", "good"),
        ordered(34, "abort"),
        history("rolled-back", reason="aborted by ann"),
        uncounted,
    ),
    "blind while Prometheus was away": both(
        released("v3", "good"),
        did(What.FAULT, 33, 35, app="", part="prometheus", kind="stopped"),
        history("rolled-back", reason="blind for 5s: errors"),
        uncounted,
    ),
    "released in the place of another": both(
        released("v3", "good"),
        did(What.RELEASE, 35, 35.1, version="v4", trait="bad"),
        lambda run: run.bend_from("back", lambda found: found.update(ending={"outcome": "Superseded"})),
        lambda run: run.bend("rolled-back", lambda document: document["status"].pop("ending")),
        history("rolled-back", outcome="Superseded", reason="v4 is wanted instead"),
        uncounted,
    ),
    "paused in the end": both(
        lambda run: run.without("rolled-back", "back", "routes-back"),
        ordered(35, "pause"),
        lambda run: run.bend(
            "rise-50-3", lambda d: d["status"].update(paused=True, held={"reason": "Paused"})
        ),
    ),
    "a release that failed": did(What.RELEASE, 39, 39.1, version="v4", trait="good", failed="409"),
    "an edit that failed": did(
        What.EDIT,
        30,
        30.1,
        object=f"VirtualService {GLOO}/{APP}",
        how="a label was set",
        meant={"/metadata/labels/team": "them"},
        failed="409",
    ),
    "users long after, since a human led them there": both(
        wrote(
            39, VIRTUAL_SERVICES, virtual_service(main(multi(v2=50, v3=50)), domain="shop.test"), who=HUMAN
        ),
        wrote(42, VIRTUAL_SERVICES, virtual_service(main(single("v2")))),
        lambda run: run.served("v3", 41.2, 42),
    ),
    "users long after, since Gloo was away": both(
        did(What.FAULT, 35, 42, app="", part="gloo", kind="frozen"),
        lambda run: run.served("v3", 41.2, 44),
    ),
    "testers after the rollback": lambda run: run.requests.append(
        replace(run.requests[-1], time=BEGAN + 50, path="/testers")
    ),
    "a fault of the data path": both(
        did(What.FAULT, 20, 22, app="", part="envoy", kind="killed"),
        lambda run: run.got("none", 21, 22, ServerDisconnectedError=1),
    ),
    "a crash": both(released("v3", "crashing"), lambda run: run.got("none", 35, 36, _503=1)),
    "an order that a killed API server stored and never told of": both(
        did(What.FAULT, 8.5, 8.9, app="", part="apiserver", kind="killed"),
        lambda run: run.bend("weighed-50", lambda d: d["metadata"]["annotations"].update({COMMAND: ORDER})),
        lambda run: wrote(9.5, CANARIES, without_orders(run.writes["weighed-50"].object), who=HUMAN)(run),
        status("rise-100", evaluatedAt=iso(8.9), lastCommand="promote"),
    ),
    "a crash that left nobody to ask": both(
        released("v3", "crashing"),
        lambda run: run.requests.__setitem__(
            slice(None), [each for each in run.requests if "0.3" not in each.address]
        ),
        lambda run: run.got("none", 35, 36, _503=1),
    ),
    "a crash that testers met": both(
        released("v3", "crashing"),
        lambda run: run.seconds.append(Second(APP, True, BEGAN + 27, BEGAN + 28, {"none": {"503": 1}})),  # noqa: FBT003
    ),
    "not ready, since the API server was away": both(
        released("v3", "good"),
        did(What.FAULT, 25, 27, app="", part="apiserver", kind="frozen"),
        history("rolled-back", reason="not ready within 3s"),
        uncounted,
    ),
    "changed, and changed back, in mid-rollout": both(
        wrote(3.2, DEPLOYMENTS, deployment("v2", 1, "-changed"), who=HUMAN),
        wrote(3.25, DEPLOYMENTS, deployment("v2"), who=HUMAN),
    ),
    "the VirtualService deleted by a human": both(
        wrote(39, VIRTUAL_SERVICES, virtual_service(main(single("v2"))), "delete", who=HUMAN),
    ),
    "a pod that is gone": lambda run: run.human("pod-v1 gone", 39, "pods", pod("v1"), "delete"),
    "pods that a human replaced": both(
        wrote(39, DEPLOYMENTS, deployment("v2", 1, "-changed"), who=HUMAN),
        lambda run: run.got("none", 40, 41, _503=1),
    ),
    "a rejected version scaled down": both(
        in_spec(rollback={"scaleDown": "ScaleToZero"}), wrote(39, DEPLOYMENTS, deployment("v3", 0))
    ),
    "an Upstream of its own": wrote(
        5,
        UPSTREAMS,
        {
            "kind": "Upstream",
            "metadata": {
                "name": f"{APP}-v2",
                "namespace": GLOO,
                "labels": {"app.kubernetes.io/managed-by": "crossfade"},
                "annotations": {"crossfade.dev/upstream": APP, "crossfade.dev/version": "v2"},
            },
        },
        "create",
    ),
    "a label of a human's": both(
        wrote(39, VIRTUAL_SERVICES, labelled("them"), who=HUMAN),
        did(
            What.EDIT,
            39,
            39.1,
            object=f"VirtualService {GLOO}/{APP}",
            how="a label was set",
            meant={"/metadata/labels/team": "them"},
        ),
    ),
    "Gloo's report, taken away": both(
        lambda run: run.bend(
            "service", lambda d: d.update(status={"statuses": {GLOO: {"state": "Accepted"}}})
        ),
    ),
}


@pytest.mark.parametrize("bend", [pytest.param(bend, id=name) for name, bend in EXPLAINED.items()])
def test_what_is_explained_is_no_breach(bend: Bend) -> None:
    run = right()
    bend(run)
    assert [breach.words() for breach in run.judged().breaches] == []


def test_breach_names_what_shows_it() -> None:
    run = right()
    status("rise-100", verdict="Harmful")(run)
    [breach] = run.judged().breaches
    assert (breach.app, breach.release, breach.time) == (APP, "v2", BEGAN + 12)
    assert breach.words() == (
        "earned 08:00:12.000 shop v2: Shifting 50% -> Shifting 100%: the verdict was Harmful\n"
        "    08:00:09.000 status Shifting 50% v1 -> v2: !\n"
        "    08:00:12.000 status Shifting 100% v1 -> v2: !"
    )


def test_figures_are_told_in_a_few_lines() -> None:
    run = right().did(What.FAULT, 50, 51, app="", part="gloo", kind="killed")
    assert list(run.judged().figures.lines()) == [
        "2 rollouts ended; 0 good versions rolled back by evidence",
        "  bad          RolledBack        1",
        "  good         Promoted          1",
        "1 faults",
        "  gloo killed                    1",
        "27 writes of the controller, 660 requests, 4 failed",
        "1 rollbacks in peace: the last user after 0.00 s (median), 0.00 s (p90), 0.00 s (longest)",
    ]
    assert replace(run.judged().figures, delays=(0.1, 0.2, 0.3)).delay(0.5) == 0.2


def test_false_rollbacks_are_counted_exactly() -> None:
    assert at_least(0, 10, 0.1) == 1
    assert at_least(1, 2, 0.5) == 0.75
    assert at_least(2, 2, 0.5) == 0.25


def test_a_folder_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = right()
    (tmp_path / LOAD).mkdir()
    (tmp_path / DEEDS).write_text("".join(deed.line() for deed in run.deeds))
    (tmp_path / AUDIT).write_text("".join(map(audited, run.writes.values())) + '{"cut off')
    (tmp_path / ACCESS).write_text(
        "".join(
            json.dumps(
                {
                    "time": iso(request.time - BEGAN),
                    "duration": 2,
                    "authority": request.host,
                    "path": request.path,
                    "code": request.code,
                    "flags": "-",
                    "upstream_host": request.address,
                }
            )
            + "\n"
            for request in run.requests
        )
    )
    (tmp_path / LOAD / f"{APP}.users.jsonl").write_text(
        "".join(
            json.dumps(
                {
                    "time": second.ended,
                    "seconds": 1,
                    "versions": {version: {"codes": codes} for version, codes in second.codes.items()},
                }
            )
            + "\n"
            for second in run.seconds
        )
    )
    assert examine(tmp_path) == run.judged()


def audited(made: Write) -> str:
    """Write one write as the API server does."""
    return (
        json.dumps(
            {
                "time": iso(made.time - BEGAN),
                "verb": made.verb,
                "resource": made.resource,
                "subresource": made.subresource,
                "namespace": made.namespace,
                "name": made.name,
                "manager": made.manager,
                "userAgent": made.user_agent,
                "object": made.object,
            }
        )
        + "\n"
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Unpack what a real release on the sandbox left; of its access log a part."""
    for packed in RECORDED.glob("*.gz"):
        (tmp_path / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    (tmp_path / DEEDS).write_bytes((RECORDED / DEEDS).read_bytes())
    return tmp_path


def test_real_release_has_no_breach(recorded: Path) -> None:
    report = examine(recorded)
    assert [breach.words() for breach in report.breaches] == []
    assert report.figures.rollouts == {("good", "Promoted"): 1}
    assert (report.figures.requests, report.figures.writes) == (143, 73)


@pytest.mark.parametrize(
    ("file", "there", "instead", "invariant"),
    [
        (DEEDS, '"good"', '"bad"', Invariant.HARM),
        (AUDIT, '"verdict":"Undecided"', '"verdict":"Harmful"', Invariant.EARNED),
        (AUDIT, '"prefix":"/"', '"prefix":"/x"', Invariant.FOREIGN),
        (AUDIT, '"weightSeen":100', '"weightSeen":99', Invariant.STABLE),
        (AUDIT, '"outcome":"Promoted"', '"outcome":"Superseded"', Invariant.HISTORY),
    ],
)
def test_real_release_that_is_bent_has_one(
    recorded: Path, file: str, there: str, instead: str, invariant: Invariant
) -> None:
    lines = (recorded / file).read_text().splitlines(keepends=True)
    ours = '"userAgent":"crossfade/' if file == AUDIT else ""
    bent = [line.replace(there, instead) if ours in line else line for line in lines]
    (recorded / file).write_text("".join(bent))
    assert invariant in {breach.invariant for breach in examine(recorded).breaches}
