"""How unevenly bad requests come: bursts make a test that takes them for independent too sure."""

from dataclasses import replace

from analysis.evidence import Arm
from config.status import Dispersion


LARGEST = 20.0
"""Beyond it a test would be so calm that it finds nothing."""
UNKNOWN = 8.0
"""What a stable that was never seen is taken for: far from calm."""
ENOUGH = 20
"""Windows of stable's after which only what was seen counts."""


def observed(before: Dispersion, stable: Arm) -> Dispersion:
    """Add one window of stable's; one without requests says nothing."""
    if not stable.requests:
        return before
    return replace(
        before,
        windows=before.windows + 1,
        requests=before.requests + stable.requests,
        bad=before.bad + stable.bad,
        squares=before.squares + stable.bad * stable.bad / stable.requests,
    )


def dispersion(sums: Dispersion) -> float:
    """Give Pearson's dispersion of the bad requests per window: 1 by chance alone, below 20.

    With p = bad / requests over all windows it is the sum over the windows of
    (bad - p requests)^2 / (p (1 - p) requests), divided by their number less one;
    at least 1, at most 20. What is beyond 1 counts for (bad - 1) / (bad + 1) of it:
    nothing with one bad request, which cannot come in bursts, half with 3, 94% with
    30. A few bad requests in windows of uneven size look like a burst by chance.

    Calm is only what was seen to be calm: before 20 windows it is at least
    1 + 7 (1 - windows / 20), which is 8 with none, 4.5 with 10.
    """
    assumed = 1 + (UNKNOWN - 1) * max(1 - sums.windows / ENOUGH, 0.0)
    share = sums.bad / sums.requests if sums.requests else 0.0
    if sums.windows < 2 or not 0 < share < 1:
        return assumed
    chi_squared = (sums.squares - share * sums.bad) / (share * (1 - share))
    pearson = min(chi_squared / (sums.windows - 1), LARGEST)
    return max(1 + (pearson - 1) * (sums.bad - 1) / (sums.bad + 1), assumed)
