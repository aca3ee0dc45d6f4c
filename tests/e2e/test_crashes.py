"""A controller that is killed wherever it stands, again and again, ends where one that lives would."""

import datetime as dt
import itertools
import random
import time
from collections.abc import Iterator

from account import moves, rises
from releases import Application, Controller, failures
from sandbox import clock


KILLS = 50
SEED = 20260301
LADDER = [8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 90]


def deaths(controller: Controller, times: int) -> Iterator[float]:
    """Kill the controller this often and start it again; gives the time of each kill.

    Some are killed while they start, the others after a short while of work.
    """
    dice = random.Random(SEED)  # noqa: S311  # no secret
    for _ in range(times):
        if dice.random() < 0.7:
            controller.wait_until_started()
        moment = time.monotonic() + dice.uniform(0, 0.8)
        while time.monotonic() < moment:
            time.sleep(0.005)
        controller.kill()
        yield clock.now()
        controller.start()


def test_killed_fifty_times_in_one_rollout_it_ends_as_if_nothing_had_happened(
    app: Application, neighbour: Application, controller: Controller
) -> None:
    app.adopted(
        shifting={"steps": [*LADDER[:-1], {"weight": LADDER[-1], "approval": "Manual"}], "interval": "1s"},
        baking={"duration": "1s"},
    )
    neighbour.adopted(
        testing={"match": [{"headers": [{"name": "stage", "value": "canary"}]}], "duration": "8s"}
    )
    with app.load() as users, neighbour.load() as others:
        app.deploy("v2")
        app.until(lambda status: status.get("phase") == "Shifting")
        killing = deaths(controller, KILLS)
        killed = list(itertools.islice(killing, 5))
        neighbour.deploy("v2", "--error-rate=0.4")  # nobody is there to see it come
        killed += killing
        assert app.status()["phase"] == "Shifting"
        during = len(rises(app.writes()))
        app.until(lambda status: (status.get("held") or {}).get("reason") == "AwaitingApproval")
        app.crossfade("approve")
        good, bad = app.ended("v2"), neighbour.ended("v2")
        assert set(app.versions()) == {"v2"}
        assert set(neighbour.versions()) == {"v1"}
    assert good["outcome"] == "Promoted"
    assert bad["outcome"] == "RolledBack"
    assert "harmful: errors:" in bad["reason"]
    assert failures(users.snapshot()) == 0
    assert failures(others.snapshot(), "v1", "none") == 0
    assert rises(app.writes()) == [*LADDER, 100]
    assert rises(neighbour.writes()) == [20]
    assert moves(app.writes())[-1] == "v2"
    assert moves(neighbour.writes())[-1] == "v1"
    assert during > len(LADDER) / 2, "it hardly got on between the kills"
    began, ended = (dt.datetime.fromisoformat(bad[key]).timestamp() for key in ("startedAt", "endedAt"))
    assert sum(began < kill < ended for kill in killed) >= 3
