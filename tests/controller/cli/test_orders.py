from collections.abc import Callable
from pathlib import Path

import pytest

from canaries import V2, V3, document, held, resting, status
from command_line import World, until
from config.status import HeldReason, Phase, Status
from controller.cli.orders import objection
from controller.cli.reading import canary_of
from controller.kube.resources import CANARIES
from controller.ports import ANNOTATION
from controller.rollout.observation import Do


STOPPED = status(held=held(HeldReason.STOPPED, needs_human=True))
WAITING = status(held=held(HeldReason.AWAITING_APPROVAL, needs_human=True))


@pytest.mark.parametrize(
    ("do", "seen", "said"),
    [
        (Do.PROMOTE, STOPPED, "nothing hurries past that: shop/echo is"),
        (Do.PROMOTE_FULL, STOPPED, "nothing hurries past that: shop/echo is"),
        (Do.ABORT, STOPPED, ""),
        pytest.param(Do.APPROVE, WAITING, "", id="approve what waits for it"),
        pytest.param(Do.APPROVE, status(), "v2 does not wait for approval", id="approve what does not"),
        pytest.param(
            Do.APPROVE, resting(), "nothing to approve: shop/echo is Promoted (v1 serves)", id="approve rest"
        ),
        pytest.param(Do.PROMOTE, status(), "", id="promote"),
        pytest.param(Do.PROMOTE_FULL, resting(), "nothing to promote", id="promote nothing"),
        pytest.param(Do.ABORT, status(), "", id="abort"),
        pytest.param(Do.ABORT, status(phase=Phase.PREPARING, weight=0), "", id="abort before traffic"),
        pytest.param(Do.ABORT, Status(), "nothing to abort", id="abort while adopting"),
        pytest.param(Do.ABORT, status(phase=Phase.ROLLING_BACK), "too late", id="abort a rollback"),
        pytest.param(Do.ABORT, resting(Phase.ROLLED_BACK), "nothing to abort", id="abort what is over"),
        pytest.param(Do.PAUSE, status(), "", id="pause"),
        pytest.param(Do.PAUSE, resting(), "", id="pause before a release"),
        pytest.param(Do.PAUSE, status(paused=True), "paused already", id="pause twice"),
        pytest.param(Do.RESUME, status(paused=True), "", id="resume"),
        pytest.param(Do.RESUME, status(refusal="no"), "", id="resume after a refusal"),
        pytest.param(Do.RESUME, status(), "nothing to resume", id="resume what goes on"),
        pytest.param(Do.RETRY, resting(Phase.ROLLED_BACK, rejected=(V3,)), "", id="retry"),
        pytest.param(Do.RETRY, resting(), "nothing to retry", id="retry nothing"),
    ],
)
def test_an_order_that_makes_no_sense_is_objected_to(do: Do, seen: Status, said: str) -> None:
    objected = objection(canary_of(document(seen)), do)
    assert objected.startswith(said)
    assert bool(objected) == bool(said)


def test_what_the_spec_pauses_no_command_resumes() -> None:
    canary = canary_of(document(status(), paused=True))
    assert "set spec.paused of shop/echo to false" in objection(canary, Do.RESUME)


@pytest.mark.parametrize(
    ("arguments", "do"),
    [
        (["promote"], "promote"),
        (["promote", "--full"], "promote-full"),
        (["abort"], "abort"),
        (["pause"], "pause"),
        (["approve"], "approve"),
    ],
    ids=" ".join,
)
def test_an_order_is_one_annotation_and_answered_with_the_controllers_sentence(
    world: World, obedient: Callable[[str], None], arguments: list[str], do: str
) -> None:
    world.add(status=WAITING)
    obedient(f"{do} it is")
    result = world.crossfade(*arguments, "echo", "--reason", 'looks "fine"', "--timeout", "20s")
    assert result.err == ""
    assert (result.code, result.out) == (0, f"{world.namespace}/echo: {do} it is\n")
    order = world.order()
    assert {**order, "id": ""} == {"do": do, "by": order["by"], "reason": 'looks "fine"', "id": ""}
    assert order["by"]
    assert len(order["id"]) == 36


def test_every_order_has_an_id_of_its_own(world: World, obedient: Callable[[str], None]) -> None:
    world.add(status=status())
    obedient("one")
    assert world.crossfade("promote", "--timeout", "20s").code == 0
    first = world.order()["id"]
    world.crossfade("promote", "--timeout", "1s")
    assert world.order()["id"] != first


def test_without_a_controller_the_order_stays_written_and_the_command_fails(world: World) -> None:
    world.add(status=status())
    result = world.crossfade("abort", "--timeout", "1s")
    assert result.code == 1
    assert "no controller took it within 1s" in result.err
    assert world.order()["do"] == "abort"


def test_what_is_objected_to_is_not_written(world: World) -> None:
    world.add(status=resting(stable=V2))
    result = world.crossfade("abort")
    assert result.code == 1
    assert result.err.startswith(f"error: nothing to abort: {world.namespace}/echo is Promoted")
    with pytest.raises(KeyError):
        world.order()


def test_the_order_names_the_user_of_the_kubeconfig(world: World, tmp_path: Path) -> None:
    known = world.kubeconfig.read_text()
    world.add(status=status())
    world.crossfade("pause", "--timeout", "1s")
    assert world.order()["by"] in known


def test_an_order_that_waits_is_not_pushed_aside_but_by_an_abort(world: World) -> None:
    world.add(status=status())
    world.crossfade("pause", "--timeout", "1s")
    second = world.crossfade("promote", "--timeout", "1s")
    assert second.code == 1
    assert (
        f"{world.namespace}/echo: pause by {world.order()['by']} still waits for the controller" in second.err
    )
    assert world.order()["do"] == "pause"
    world.crossfade("abort", "--timeout", "1s")
    assert world.order()["do"] == "abort"
    assert "abort by" in world.crossfade("promote", "--timeout", "1s").err
    assert world.order()["do"] == "abort"


def test_an_order_that_was_carried_out_or_makes_no_sense_is_in_nobodys_way(world: World) -> None:
    world.add(status=status())
    for written in ('{"do": "pause", "id": "1"}', '{"do": "dance", "id": "2"}', "abort", "[]"):
        world.report(status(last_command="1"))
        world.cluster.patch(
            CANARIES, world.namespace, "echo", {"metadata": {"annotations": {ANNOTATION: written}}}
        )
        world.crossfade("promote", "--timeout", "1s")
        assert world.order()["do"] == "promote"


def test_an_order_that_was_pushed_aside_does_not_claim_to_be_carried_out_yet(world: World) -> None:
    world.add(status=status())
    with world.start("pause", "echo", "--timeout", "4s") as pausing:
        until(lambda: _has_order(world, "pause"))
        world.crossfade("abort", "--timeout", "1s")
        said, _ = pausing.communicate(timeout=20)
    assert pausing.returncode == 1
    assert "came between, so that pause was not carried out" in said


def _has_order(world: World, do: str) -> bool:
    try:
        return world.order()["do"] == do
    except KeyError:
        return False
