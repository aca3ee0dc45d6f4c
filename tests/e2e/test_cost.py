"""What a Canary costs, asserted; `make bench` measures the same on a larger scale."""

from bench.cost import advancing, idle
from releases import Application, Controller


def test_idle_canaries_cost_nothing() -> None:
    found = idle(20, rounds=3)
    assert found.ticks >= 60
    assert found.reads == {}
    assert found.writes == {}


def test_advancing_canary_reads_one_thing_once_writes_little_and_asks_prometheus_once_per_evaluation(
    app: Application, controller: Controller
) -> None:
    app.adopted()
    found = advancing(app, controller)
    assert found.reads == {"get configmaps": 1}, "whether windows are kept already"
    assert found.most_writes <= 4, "a status, the routes, an event and the window"
    assert sum(found.writes.values()) <= 3 * found.ticks
    assert found.evaluations > 6
    assert found.queries == found.evaluations + 2, "before anybody is exposed stable is looked at"
