"""Any weather: the promises hold in every decision, and everything comes to rest."""

import pytest
from hypothesis import HealthCheck, settings

from machine import Rollouts


pytestmark = pytest.mark.no_cover  # what is proved here is proved by much repetition


TestRollouts = Rollouts.TestCase
TestRollouts.settings = settings(
    max_examples=200,
    stateful_step_count=15,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
