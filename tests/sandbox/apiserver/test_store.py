from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.apiserver.errors import ApiError
from sandbox.apiserver.journal import SqliteJournal
from sandbox.apiserver.store import Event, Key, Store


if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.apiserver.documents import Object


def _key(name: str = "a", namespace: str = "one") -> Key:
    return Key("", "pods", namespace, name)


def _pod(name: str = "a", **rest: object) -> Object:
    return {"metadata": {"name": name}, **rest}


def test_every_write_gets_the_next_version() -> None:
    store = Store()
    first = store.put(_key("a"), _pod("a"))
    second = store.put(_key("b"), _pod("b"))
    removed = store.remove(_key("a"))
    assert removed is not None
    versions = [int(each["metadata"]["resourceVersion"]) for each in (first, second, removed)]
    assert versions == [versions[0], versions[0] + 1, versions[0] + 2]
    assert store.version == versions[-1]


def test_objects_are_listed_by_namespace_in_the_order_of_their_names() -> None:
    store = Store()
    for namespace, name in (("two", "a"), ("one", "b"), ("one", "a")):
        store.put(_key(name, namespace), _pod(name, namespace=namespace))
    assert [(each["namespace"], each["metadata"]["name"]) for each in store.objects("", "pods")] == [
        ("one", "a"),
        ("one", "b"),
        ("two", "a"),
    ]
    assert [each["metadata"]["name"] for each in store.objects("", "pods", "two")] == ["a"]


def test_listeners_hear_what_was_before_and_what_is_now() -> None:
    store, heard = Store(), list[Event]()
    store.listen(heard.append)
    store.put(_key(), _pod(spec=1))
    store.put(_key(), _pod(spec=2))
    store.remove(_key())
    store.unlisten(heard.append)
    store.put(_key(), _pod(spec=3))
    assert [(each.kind, each.object["spec"], (each.previous or {}).get("spec")) for each in heard] == [
        ("ADDED", 1, None),
        ("MODIFIED", 2, 1),
        ("DELETED", 2, 2),
    ]


def test_removing_nothing_changes_nothing() -> None:
    store = Store()
    assert store.remove(_key()) is None
    assert store.since(store.version) == []


def test_the_past_is_known_as_far_as_the_history_goes_and_gone_before() -> None:
    store = Store(history=2)
    start = store.version
    for spec in range(3):
        store.put(_key(), _pod(spec=spec))
    assert [each.object["spec"] for each in store.since(start + 1)] == [1, 2]
    with pytest.raises(ApiError, match="too old resource version") as caught:
        store.since(start)
    assert (caught.value.code, caught.value.reason) == (410, "Expired")
    with pytest.raises(ApiError, match="too large resource version"):
        store.since(store.version + 1)


@settings(deadline=None)
@given(
    writes=st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers()), max_size=12),
    history=st.integers(1, 6),
)
def test_a_store_opened_again_is_the_store_that_was(
    writes: list[tuple[str, int | None]], history: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("journal") / "objects.sqlite"
    journal = SqliteJournal(path, history=history)
    store = Store(journal, history=history)
    for name, spec in writes:
        if spec is None:
            store.remove(_key(name))
        else:
            store.put(_key(name), _pod(name, spec=spec))
    journal.close()
    again_journal = SqliteJournal(path, history=history)
    again = Store(again_journal, history=history)
    assert again.version == store.version
    assert dict(again.everything()) == dict(store.everything())
    for version in range(store.version + 1):
        assert _since(again, version) == _since(store, version)
    again_journal.close()


def _since(store: Store, version: int) -> list[Event] | int:
    try:
        return store.since(version)
    except ApiError as error:
        return error.code


def test_a_new_journal_is_empty(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "objects.sqlite")
    assert journal.load() == (1, {}, [])
    journal.close()
