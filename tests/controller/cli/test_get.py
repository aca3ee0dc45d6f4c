import json
import signal

import pytest
import yaml

from canaries import PROMOTED, ROLLED_BACK, held, resting, status
from command_line import World
from config.status import HeldReason, Phase
from controller.cli.stop import VARIABLE
from controller.kube.resources import CONFIG_MAPS


def test_a_table_has_a_line_per_canary(world: World) -> None:
    world.add("web", status(reason="v2 at 25%: soaking"))
    world.add("api")
    result = world.crossfade("get")
    assert result.code == 0
    header, api, web = result.out.splitlines()
    assert header.split() == [
        "NAME", "PHASE", "WEIGHT", "STEP", "VERDICT", "STABLE", "CANDIDATE", "AGE", "REASON",
    ]  # fmt: skip
    assert api.split()[:3] == ["api", "Preparing", "0"]
    assert api.endswith("no controller has looked at it yet")
    assert web.split()[:7] == ["web", "Shifting", "25", "3/5", "Undecided", "v1", "v2"]
    assert web.endswith("v2 at 25%: soaking")


def test_one_canary_is_got_by_name(world: World) -> None:
    world.add("web")
    world.add("api")
    assert [row.split()[0] for row in world.crossfade("get", "web").out.splitlines()] == ["NAME", "web"]


def test_all_namespaces_are_named(world: World) -> None:
    world.add("web")
    result = world.crossfade("get", "-A")
    assert result.out.split()[0] == "NAMESPACE"
    assert [world.namespace, "web"] in [row.split()[:2] for row in result.out.splitlines()]


def test_names_can_be_piped_into_kubectl(world: World) -> None:
    world.add("web")
    assert world.crossfade("get", "-o", "name").out == "canary.crossfade.dev/web\n"


def test_data_is_what_the_api_server_has(world: World) -> None:
    world.add("web", status())
    one = json.loads(world.crossfade("get", "web", "-o", "json").out)
    assert (one["kind"], one["status"]["weight"]) == ("Canary", 25)
    assert "managedFields" not in one["metadata"]
    several = yaml.safe_load(world.crossfade("get", "-o", "yaml").out)
    assert (several["kind"], [item["metadata"]["name"] for item in several["items"]]) == ("List", ["web"])
    assert json.loads(world.crossfade("status", "web", "-o", "json").out) == one


def test_wide_shows_what_holds_it(world: World) -> None:
    world.add("web", status())
    assert {"SEEN", "HELD", "REQUESTS"} <= set(world.crossfade("get", "-o", "wide").out.split())


def test_an_empty_namespace_is_no_error(world: World) -> None:
    result = world.crossfade("get")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"no Canaries in namespace {world.namespace}\n"


@pytest.mark.parametrize("command", ["get", "status", "history", "abort"])
def test_a_name_that_is_not_there_is_answered_with_those_that_are(world: World, command: str) -> None:
    world.add("web")
    world.add("api")
    result = world.crossfade(command, "wep")
    assert result.code == 1
    assert result.err == f"error: no Canary wep in namespace {world.namespace}; there are: api, web\n"


def test_a_command_for_one_of_several_wants_a_name(world: World) -> None:
    world.add("web")
    world.add("api")
    result = world.crossfade("status")
    assert result.err == f"error: which Canary? in namespace {world.namespace}; there are: api, web\n"


def test_watching_prints_a_row_per_change(world: World) -> None:
    world.add("web")
    with world.start("get", "-w") as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("NAME")
            assert process.stdout.readline().split()[:2] == ["web", "Preparing"]
            world.report(resting(Phase.IDLE), "web")
            assert process.stdout.readline().split()[:2] == ["web", "Idle"]
            world.add("new")
            assert process.stdout.readline().split()[:2] == ["new", "Preparing"]
        finally:
            process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
        assert process.wait(10) == 130


def test_a_reader_who_has_seen_enough_is_no_error_to_speak_of(world: World) -> None:
    world.add("web")
    with world.start("get", "-w") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        world.report(resting(Phase.IDLE), "web")
        assert process.wait(10) == 1


def test_history_tells_the_last_rollouts(world: World) -> None:
    world.add("web", resting(history=(ROLLED_BACK, PROMOTED)))
    result = world.crossfade("history")
    header, first, second = result.out.splitlines()
    assert header.split()[:3] == ["REVISION", "OUTCOME", "WEIGHT"]
    assert first.startswith("v3 (5555cccc)   RolledBack   25%")
    assert first.endswith("errors: 5.1% bad, at most 1% allowed (6 of 118 requests)")
    assert second.startswith("v1 (1111aaaa)   Promoted     100%")
    entries = json.loads(world.crossfade("history", "-o", "json").out)
    assert [entry["outcome"] for entry in entries] == ["RolledBack", "Promoted"]


def test_without_history_nothing_is_printed_but_a_note(world: World) -> None:
    world.add("web")
    result = world.crossfade("history")
    assert (result.code, result.out) == (0, "")
    assert "no rollout has ended yet" in result.err


@pytest.fixture
def stop(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Stop all releases by a ConfigMap of the test's namespace; give what is said of it."""
    monkeypatch.setenv(VARIABLE, f"{world.namespace}/stop")
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stop"}}
    world.cluster.create(CONFIG_MAPS, world.namespace, document | {"data": {"reason": "disk full"}})
    return f"all releases are stopped by ConfigMap {world.namespace}/stop: disk full\n"


def test_a_stopped_line_is_told_where_nothing_is_under_way(world: World, stop: str) -> None:
    assert world.crossfade("get").err == f"{stop}no Canaries in namespace {world.namespace}\n"
    world.add("web", resting(Phase.IDLE))
    for command in (("get",), ("get", "-o", "wide"), ("get", "-A"), ("status", "web")):
        result = world.crossfade(*command)
        assert (result.code, result.err) == (0, stop)


def test_a_stopped_line_is_told_once_and_not_in_data(world: World, stop: str) -> None:
    assert stop
    world.add("web", status(held=held(HeldReason.STOPPED, needs_human=True)))
    for command in (("status",), ("status", "-o", "json"), ("get", "-o", "json"), ("get", "-o", "name")):
        assert world.crossfade(*command).err == ""


def test_a_stop_that_nobody_can_look_for_is_a_wrong_variable(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.add("web")
    monkeypatch.setenv(VARIABLE, "stop")
    result = world.crossfade("get")
    assert (result.code, result.err) == (
        1,
        f"error: {VARIABLE}: found 'stop'; namespace and name are needed, like crossfade/crossfade-stop\n",
    )
