"""The demo tells what happened, and its exit code is 0 only if both releases ended rightly."""

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox.demo.summary import Story, show
from sandbox.demo.watching import Change


CROSSFADE = Path(sys.executable).with_name("crossfade")


def report(**versions: Any) -> dict[str, Any]:
    """Give a load report of these versions: requests, failed ones, first failure, last answer."""
    tallies = {
        name: {"requests": n, "failed": failed, "firstFailed": first, "last": last, "latency": {"p99": 0.01}}
        for name, (n, failed, first, last) in versions.items()
    }
    return {
        "requests": sum(tally["requests"] for tally in tallies.values()),
        "failed": sum(tally["failed"] for tally in tallies.values()),
        "versions": tallies,
    }


GOOD = Story(
    good=[Change(100.0, "Preparing", 0, "v2", ""), Change(130.5, "Promoted", 100, "", "promoted v2")],
    bad=[Change(140.0, "Preparing", 0, "v3", ""), Change(152.0, "RolledBack", 0, "v3", "rolled back v3")],
    users=report(
        v1=(1000, 0, None, 120.0),
        v2=(5000, 0, None, 160.0),
        v3=(90, 3, 148.0, 150.1),
        none=(0, 0, None, None),
    ),
    testers=report(v2=(300, 0, None, 160.0), v3=(40, 0, None, 151.0)),
    old_replicas=0,
    outcomes={"v2": "Promoted", "v3": "RolledBack"},
)


def told(story: Story) -> str:
    out = io.StringIO()
    show(story, Console(file=out, width=120))
    return out.getvalue()


def test_the_summary_says_what_a_user_wants_to_know() -> None:
    text = told(GOOD)
    assert GOOD.complaints() == []
    assert "promoted in 30.5 s; v1 is scaled to 0" in text
    assert "rolled back after 12.0 s" in text
    assert "6430 (340 of them by testers' header)" in text
    assert "2.1 s, 1.0 times the floor" in text
    assert "nothing; p99 v1 10 ms, v2 10 ms" in text


@pytest.mark.parametrize(
    ("story", "complaint"),
    [
        pytest.param(
            replace(GOOD, outcomes={"v2": "RolledBack", "v3": "RolledBack"}),
            "v2 should be Promoted, found RolledBack",
            id="good version rolled back",
        ),
        pytest.param(
            replace(GOOD, outcomes={"v2": "Promoted"}), "v3 should be RolledBack, found nothing", id="no end"
        ),
        pytest.param(
            replace(GOOD, old_replicas=1), "v1 should be scaled to 0, found 1 replicas", id="v1 still runs"
        ),
        pytest.param(
            replace(GOOD, users=report(v1=(10, 2, 1.0, 2.0), v3=(9, 1, 1.0, 2.0))),
            "2 requests failed that v3 had no part in",
            id="stable's users were hurt",
        ),
        pytest.param(
            replace(GOOD, users=report(v3=(9, 0, None, 2.0))),
            "v3 was rolled back although no user had seen it fail",
            id="rolled back for nothing",
        ),
    ],
)
def test_whatever_went_wrong_is_a_complaint(story: Story, complaint: str) -> None:
    assert story.complaints() == [complaint]
    assert f"Not as it should be: {complaint}" in told(story)


@pytest.mark.e2e
def test_the_demo_releases_a_good_version_and_rolls_a_bad_one_back(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [str(CROSSFADE), "sandbox", "demo", "--dir", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "promoted v2; v1 served before" in done.stdout
    assert "rolled back v3: harmful: http-errors:" in done.stdout
    assert "stable's users noticed       nothing" in done.stdout
    assert not folder.exists()
