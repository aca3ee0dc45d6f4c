"""How long users meet a bad version: from its first failed answer to its last answer of all.

The floor is what nobody can do without: Prometheus has to scrape the failure (every second here), an
evaluation has to come round (every second), and the gateway has to take the new routes.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from releases import Application
from sandbox.demo.summary import FLOOR


ERROR_RATES = (0.05, 0.2, 1.0)
RPS = 80.0
PATIENCE = 120.0
PAST = 25
"""Seconds that stable has served when the first version comes: how calm it is, is known then."""
METRIC = {
    "name": "errors",
    "ratio": {
        "bad": 'http_requests_total{namespace="{{ namespace }}", version="{{ version }}", code=~"5.."}',
        "total": 'http_requests_total{namespace="{{ namespace }}", version="{{ version }}"}',
    },
    "max": "1%",
}
ANALYSIS = {"interval": "1s", "minRequests": 50, "metrics": [METRIC]}


@dataclass(frozen=True)
class Detection:
    """One bad release, seen by its users."""

    weight: int
    error_rate: float
    failed: int
    """Requests that failed because the version was tried."""
    exposed: float
    """From the first failed answer to the last answer, seconds."""

    @property
    def floors(self) -> float:
        """The same as a multiple of the floor."""
        return self.exposed / FLOOR


def detections(app: Application, weight: int) -> Iterator[Detection]:
    """Release versions of every error rate that reach this weight, one after the other."""
    app.adopted(
        shifting={"steps": [weight], "interval": "10m"},
        analysis=ANALYSIS,
        rollback={"scaleDown": "ScaleToZero"},
    )
    with app.load(RPS) as users:
        while users.snapshot()["requests"] < PAST * RPS:
            time.sleep(0.5)
        for number, error_rate in zip(itertools.count(2), ERROR_RATES, strict=False):
            version = f"v{number}"
            app.deploy(version, f"--error-rate={error_rate}")
            entry = app.ended(version, PATIENCE)
            if entry["outcome"] != "RolledBack":
                raise RuntimeError(f"{version} was not rolled back: {entry}")
            seen = users.snapshot()["versions"][version]
            yield Detection(weight, error_rate, seen["failed"], seen["last"] - seen["firstFailed"])
