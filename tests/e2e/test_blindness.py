"""Nothing to see, or nobody to look: what was counted is neither lost nor counted twice."""

from functools import partial

from account import rises
from releases import Application, Controller, Document, failures, wait_for
from sandbox.cluster import Cluster


ALIKE = ("--error-rate=0.03", "--seed=1")


def test_blind_for_too_long_it_retreats_and_goes_on_when_it_can_see_again(
    cluster: Cluster, app: Application
) -> None:
    app.adopted(shifting={"steps": [10, 50], "interval": "2s"}, analysis={"blind": {"after": "3s"}})
    with app.load(100) as users:
        app.deploy("v2")
        app.until(lambda status: status["weight"] == 50)
        cluster.stop("prometheus")
        try:
            back = app.until(lambda status: status["weight"] == 10)
            assert back["held"]["reason"] == "Blind"
            assert "blind for 3s" in back["held"]["message"]
            assert back["phase"] == "Shifting"
        finally:
            cluster.start("prometheus")
        assert app.ended("v2")["outcome"] == "Promoted"
    assert failures(users.snapshot()) == 0
    assert rises(app.writes()) == [10, 50, 50, 100]
    events = app.events()
    assert "SteppedBack" in events
    assert "SplitMismatch" not in events, "what was asked for before the retreat was held against it"


def counted_more(than: int, status: Document) -> bool:
    counted: int = status.get("requests", 0)
    return counted >= than + 100


def test_a_controller_that_is_killed_reaches_the_same_numbers(
    app: Application, controller: Controller
) -> None:
    app.adopted(*ALIKE, shifting={"steps": [50], "interval": "10m"})
    with app.load(100) as users:
        app.deploy("v2", *ALIKE)
        app.until(lambda status: status["weight"] == 50)
        for _ in range(3):
            counted = app.status().get("requests", 0)
            app.until(partial(counted_more, counted))
            controller.kill()
            controller.start()
            controller.wait_until_started()
    answered = users.snapshot()["versions"]["v2"]
    wait_for(lambda: str(app.status()["requests"]), str(answered["requests"]))
    [errors, latency] = app.status()["metrics"]
    assert errors["tests"]["requests"] == latency["tests"]["requests"] == answered["requests"]
    assert errors["tests"]["comparisons"][0]["bad"] == answered["failed"]
    assert "every verdict comes out the same, to the last digit" in app.crossfade("explain")
