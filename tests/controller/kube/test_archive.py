"""Windows beside their Canary: all of them, once, in no more than half a ConfigMap, and nobody else's."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from analysis.ledger import MOST_BYTES, MOST_WINDOWS, Ledger, is_window, of_texts
from analysis.record import number_of
from config.status import HistoryEntry, Outcome, Phase, Status, dump_status, load_status
from controller.errors import Conflict, EdgeError, Forbidden, Refused, Unavailable
from controller.kube.archive import KubeArchive, is_owned, name_for
from controller.kube.canaries import canary_of
from controller.kube.client import Cluster
from controller.kube.resources import CANARIES, CONFIG_MAPS, Document
from controller.ports import CanaryObject, Key
from evidence_of import NOW, V2, Told, spec
from metrics import errors


CHEAP = spec(errors())
Hook = Callable[[str], None]


def _nothing(_verb: str) -> None: ...


class Counted:
    """A connection that says what was asked through it."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.verbs: list[str] = []
        self.before: Hook = _nothing

    def __getattr__(self, verb: str) -> Any:
        def asked(*arguments: Any, **named: Any) -> Any:
            self.verbs.append(verb)
            self.before(verb)
            return getattr(self._cluster, verb)(*arguments, **named)

        return asked

    def take(self) -> list[str]:
        taken, self.verbs = self.verbs, []
        return taken


@pytest.fixture
def canary(cluster: Cluster, namespace: str) -> CanaryObject:
    document = {
        "apiVersion": CANARIES.api_version,
        "kind": "Canary",
        "metadata": {"name": "web"},
        "spec": spec(errors(), falseRollbackRate="1%"),
    }
    return canary_of(cluster.create(CANARIES, namespace, document))


@pytest.fixture
def counted(cluster: Cluster) -> Counted:
    return Counted(cluster)


@pytest.fixture
def archive(counted: Counted) -> KubeArchive:
    return KubeArchive(counted)  # type: ignore[arg-type]  # stands in for a Cluster


def stored(cluster: Cluster, canary: CanaryObject) -> Document:
    return cluster.read(CONFIG_MAPS, canary.key.namespace, "web-evidence")


def ledger(cluster: Cluster, canary: CanaryObject) -> Ledger:
    return of_texts(stored(cluster, canary)["data"])


def numbers(cluster: Cluster, canary: CanaryObject) -> list[int]:
    """Give the stored windows; all that are there can be judged again alike."""
    found = ledger(cluster, canary)
    again = [number_of(each.record) for each in found.replay() if not each.differs]
    assert again == [number_of(each) for each in found.windows]
    return again


def through_the_server(cluster: Cluster, canary: CanaryObject, status: Status) -> Status:
    """Record a status, and read back what a controller that starts now reads."""
    document = cluster.read(CANARIES, *canary.key)
    document["status"] = dump_status(status)
    cluster.replace(CANARIES, document, subresource="status")
    return load_status(cluster.read(CANARIES, *canary.key)["status"])


def test_a_rollout_is_kept_with_a_write_each_time_and_no_read(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told()
    archive.save(canary, rollout.status())
    assert counted.take() == ["read", "create"]
    for _ in range(3):
        archive.save(canary, rollout.go_on().status(rollout.records[-3:]))
        assert counted.take() == ["patch"]
    archive.save(canary, rollout.status())
    assert counted.take() == []
    assert numbers(cluster, canary) == [1, 2, 3]
    found = stored(cluster, canary)
    assert found["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "crossfade"}
    assert found["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "crossfade.dev/v1alpha1",
            "kind": "Canary",
            "name": "web",
            "uid": canary.uid,
            "controller": True,
        }
    ]
    told = json.loads(found["data"]["rollout"])
    assert told["candidate"] == {"version": "v2", "hash": V2.hash, "deployment": "web-v2"}
    assert (told["stable"]["version"], told["startedAt"]) == ("v1", NOW.isoformat())
    assert told["begin"] == rollout.records[0]


def test_what_a_server_gives_back_is_judged_again_to_the_last_digit(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told()
    for _ in range(4):
        rollout.go_on(5)
        archive.save(canary, through_the_server(cluster, canary, rollout.status()))
    assert numbers(cluster, canary) == list(range(1, 21))
    begun = ledger(cluster, canary).beginning
    assert begun is not None
    assert begun["number"] == 0


def test_a_controller_that_starts_again_goes_on_where_the_last_one_ended(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(5)
    archive.save(canary, rollout.status())
    counted.take()
    rollout.go_on(2)  # recorded in the status; then the process died
    again = KubeArchive(counted)  # type: ignore[arg-type]
    again.save(canary, through_the_server(cluster, canary, rollout.status(rollout.records[-3:])))
    assert counted.take() == ["read", "replace"]
    assert numbers(cluster, canary) == list(range(1, 8))
    other = KubeArchive(counted)  # type: ignore[arg-type]
    other.save(canary, rollout.status())
    assert counted.take() == ["read"]
    other.save(canary, rollout.go_on().status())
    assert counted.take() == ["patch"]
    assert numbers(cluster, canary) == list(range(1, 9))


def test_a_new_rollout_takes_the_place_of_the_last_one(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    archive.save(canary, Told().go_on(5).status())
    new = Told(CHEAP, begun=NOW.replace(hour=15)).go_on(2)
    counted.take()
    archive.save(canary, new.status())
    assert counted.take() == ["read", "replace"]
    assert numbers(cluster, canary) == [1, 2]
    assert len(ledger(cluster, canary).settings) == 1
    assert ledger(cluster, canary).rollout["startedAt"] == "2026-03-01T15:00:00.000125+00:00"


def test_the_last_windows_of_a_promoted_version_are_its_own(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(5)
    archive.save(canary, rollout.status())
    rollout.go_on(1)
    entry = HistoryEntry(V2, Outcome.PROMOTED, "passed", "crossfade", NOW, NOW, 100)
    ended: dict[str, Any] = {
        "phase": Phase.PROMOTED,
        "candidate": None,
        "stable": V2,
        "observed_spec": None,
    }
    promoted = rollout.status(**ended, history=(entry,))
    archive.save(canary, promoted)
    assert numbers(cluster, canary) == [1, 2, 3, 4, 5, 6]
    assert ledger(cluster, canary).rollout["candidate"]["version"] == "v2"
    cluster.delete(
        CONFIG_MAPS, canary.key.namespace, "web-evidence", uid=stored(cluster, canary)["metadata"]["uid"]
    )
    archive.save(canary, replace(promoted, windows=(*promoted.windows, *rollout.go_on().records[-1:])))
    rolled_out = ledger(cluster, canary).rollout
    assert (rolled_out["candidate"]["version"], rolled_out["stable"]) == ("v2", None)


@pytest.mark.parametrize("history", [(), (HistoryEntry(V2, Outcome.PROMOTED, "", "", NOW, NOW, 100),)])
def test_nothing_is_stored_where_there_is_nothing(
    archive: KubeArchive, counted: Counted, canary: CanaryObject, history: tuple[HistoryEntry, ...]
) -> None:
    archive.save(canary, Status(history=history))
    archive.save(canary, Told().go_on().status(started_at=None))
    assert counted.take() == []


def test_somebody_elses_config_map_is_left_alone(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    theirs = {"metadata": {"name": "web-evidence"}, "data": {"mine": "precious"}}
    cluster.create(CONFIG_MAPS, canary.key.namespace, theirs)
    for _ in range(2):
        with pytest.raises(Refused) as caught:
            archive.save(canary, Told().go_on().status())
        assert str(caught.value) == (
            f"ConfigMap {canary.key.namespace}/web-evidence is there already and not owned by this Canary: "
            "rename or delete it; until then no windows are kept for `crossfade explain`"
        )
    assert stored(cluster, canary)["data"] == {"mine": "precious"}


def test_a_config_map_of_an_earlier_canary_is_not_ours(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    archive.save(canary, Told().go_on().status())
    assert is_owned(stored(cluster, canary), canary.uid)
    with pytest.raises(Refused, match="not owned by this Canary"):
        archive.save(replace(canary, uid="another"), Told().go_on(2).status())


def test_a_change_by_somebody_else_is_kept_and_nothing_is_lost(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(3)
    archive.save(canary, rollout.status())
    counted.take()
    patch = {"metadata": {"labels": {"team": "shop"}, "annotations": {"note": "keep"}}}
    cluster.patch(CONFIG_MAPS, canary.key.namespace, "web-evidence", patch)
    archive.save(canary, rollout.go_on(2).status(rollout.records[-3:]))
    assert counted.take() == ["patch", "read", "replace"]
    metadata = stored(cluster, canary)["metadata"]
    assert metadata["labels"] == {"team": "shop", "app.kubernetes.io/managed-by": "crossfade"}
    assert metadata["annotations"] == {"note": "keep"}
    assert numbers(cluster, canary) == [1, 2, 3, 4, 5]


def test_a_config_map_that_was_deleted_is_begun_again(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(30)
    archive.save(canary, rollout.status(rollout.records))
    uid = stored(cluster, canary)["metadata"]["uid"]
    cluster.delete(CONFIG_MAPS, canary.key.namespace, "web-evidence", uid=uid)
    counted.take()
    archive.save(canary, rollout.go_on().status(rollout.records[-3:]))
    assert counted.take() == ["patch", "read", "create"]
    rollout.go_on(2)
    archive.save(canary, rollout.status(rollout.records[-3:]))
    found = ledger(cluster, canary)
    assert [number_of(each) for each in found.windows] == [29, 30, 31, 32, 33]
    assert [number_of(each.record) for each in found.replay()] == [32, 33]


def test_texts_that_somebody_spoiled_are_written_anew(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(3)
    archive.save(canary, rollout.status())
    patch = {"data": {"w000002": "oops"}}
    cluster.patch(CONFIG_MAPS, canary.key.namespace, "web-evidence", patch)
    archive.save(canary, rollout.go_on().status(rollout.records))
    assert numbers(cluster, canary) == [1, 2, 3, 4]


def test_another_process_that_creates_it_first_is_no_error(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(3)

    def be_faster(verb: str) -> None:
        if verb == "create":
            KubeArchive(cluster).save(canary, rollout.status())

    counted.before = be_faster
    archive.save(canary, rollout.status())
    assert counted.take() == ["read", "create", "read"]
    assert numbers(cluster, canary) == [1, 2, 3]


def test_one_that_keeps_changing_is_given_up_for_now(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(3)
    archive.save(canary, rollout.status())

    def interfere(verb: str) -> None:
        if verb in ("patch", "replace"):
            patch = {"metadata": {"annotations": {"at": str(len(counted.verbs))}}}
            cluster.patch(CONFIG_MAPS, canary.key.namespace, "web-evidence", patch)

    counted.before = interfere
    with pytest.raises(Conflict, match="web-evidence keeps changing"):
        archive.save(canary, rollout.go_on().status())
    counted.before = _nothing
    archive.save(canary, rollout.status())
    assert numbers(cluster, canary) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("error", "during"), [(Unavailable, "patch"), (Forbidden, "read"), (Refused, "replace")]
)
def test_what_was_not_stored_is_stored_next_time(
    archive: KubeArchive,
    counted: Counted,
    cluster: Cluster,
    canary: CanaryObject,
    error: type[EdgeError],
    during: str,
) -> None:
    rollout = Told().go_on(3)
    archive.save(canary, rollout.status())
    if during != "patch":
        archive.forget(canary.key)

    def fail(verb: str) -> None:
        if verb == during:
            raise error("not now")

    counted.before = fail
    with pytest.raises(error):
        archive.save(canary, rollout.go_on().status())
    counted.before = _nothing
    archive.save(canary, rollout.go_on().status())
    assert numbers(cluster, canary) == [1, 2, 3, 4, 5]


def test_a_write_whose_answer_was_lost_is_not_repeated(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(3)
    archive.save(canary, rollout.status())
    rollout.go_on()

    def lose(verb: str) -> None:
        if verb == "patch":
            KubeArchive(cluster).save(canary, rollout.status())
            raise Unavailable("the answer broke off")

    counted.before = lose
    with pytest.raises(Unavailable):
        archive.save(canary, rollout.status())
    counted.before = _nothing
    counted.take()
    archive.save(canary, rollout.status())
    assert counted.take() == ["read"]
    assert numbers(cluster, canary) == [1, 2, 3, 4]


def test_a_long_rollout_stays_small_and_can_still_be_judged_again(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told(CHEAP)
    for _ in range(0, MOST_WINDOWS + 150, 18):
        rollout.go_on(18, weight=1)
        archive.save(canary, rollout.status(rollout.records[-20:]))
        data = stored(cluster, canary)["data"]
        assert sum(map(is_window, data)) <= MOST_WINDOWS
        assert sum(len(key) + len(text) for key, text in data.items()) <= MOST_BYTES
    assert counted.verbs.count("replace") == 2
    kept = numbers(cluster, canary)
    assert kept == list(range(kept[0], 559))
    assert len(kept) > MOST_WINDOWS / 2


def test_large_windows_leave_room(archive: KubeArchive, cluster: Cluster, canary: CanaryObject) -> None:
    rollout = Told(CHEAP)
    for _ in range(8):
        rollout.blind("x" * (MOST_BYTES // 12))
        archive.save(canary, rollout.status(rollout.records[-2:]))
        data = stored(cluster, canary)["data"]
        assert sum(len(key) + len(text) for key, text in data.items()) <= MOST_BYTES
    assert 0 < len(numbers(cluster, canary)) < 8


def test_windows_that_were_lost_before_they_were_stored_are_not_papered_over(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told().go_on(3)
    archive.save(canary, rollout.status())
    rollout.go_on(30)
    archive.save(canary, rollout.status())
    found = ledger(cluster, canary)
    assert [number_of(each) for each in found.windows] == [1, 2, 3, *range(14, 34)]
    assert list(found.replay()) == []
    rollout.go_on()
    archive.save(canary, rollout.status())
    assert [each.differs for each in ledger(cluster, canary).replay()] == [""]


def test_a_rollout_without_a_survey_began_with_nothing(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told(CHEAP, surveyed=False)
    rollout.memory = replace(rollout.memory, weighed=replace(rollout.memory.weighed, scrape=None))
    rollout.go_on(2)
    archive.save(canary, rollout.status(rollout.records[1:], surveyed_at=None))
    assert numbers(cluster, canary) == [1, 2]


def test_settings_that_changed_on_the_way_are_all_kept(
    archive: KubeArchive, counted: Counted, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told(CHEAP).go_on(2)
    archive.save(canary, rollout.status())
    rollout.spec = spec(errors(), minRequests=7)
    archive.save(canary, rollout.go_on(2).status())
    assert counted.take() == ["read", "create", "patch"]
    assert len(ledger(cluster, canary).settings) == 2
    assert numbers(cluster, canary) == [1, 2, 3, 4]


def test_settings_that_nothing_was_judged_by_are_not_kept(
    archive: KubeArchive, cluster: Cluster, canary: CanaryObject
) -> None:
    rollout = Told(CHEAP).go_on(2)
    archive.save(canary, rollout.status(observed_spec=spec(errors(), minRequests=7)))
    found = ledger(cluster, canary)
    assert (len(found.windows), found.settings) == (2, {})


@pytest.mark.parametrize(
    ("canary", "name"),
    [
        ("web", "web-evidence"),
        ("w" * 244, "w" * 244 + "-evidence"),
        ("w" * 253, "w" * 244 + "-evidence"),
        ("w" * 243 + ".x", "w" * 243 + "-evidence"),
    ],
)
def test_any_canarys_name_can_be_followed(canary: str, name: str) -> None:
    assert name_for(canary) == name
    assert len(name_for(canary)) <= 253


def test_a_canary_that_is_gone_is_forgotten(
    archive: KubeArchive, counted: Counted, canary: CanaryObject
) -> None:
    rollout = Told(CHEAP).go_on()
    archive.save(canary, rollout.status())
    archive.forget(canary.key)
    archive.forget(Key("other", "one"))
    counted.take()
    archive.save(canary, rollout.status())
    assert counted.take() == ["read"]
