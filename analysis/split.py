"""Whether the gateway divides the requests as it was asked to."""

import math


CONCENTRATION = 1000.0
"""Of the Dirichlet prior around the intended shares, in requests."""
DEVIATION = 0.1
"""Of the smaller share: so far off may be the probes and calls that bypass the gateway, for ever."""
ODDS = 100.0
"""From here on a mismatch is reported; it holds the rollout, and is no reason to go back."""


def mismatch(candidate: int, stable: int, share: float, *, testers: bool, apart: float = 1.0) -> float:
    """Give ln M, the evidence against the intended share (Lindon & Malek 2022, arXiv 2011.03567).

    M compares the prior's prediction with the best that a share within `DEVIATION`
    could do: against one exact share, enough requests turn any small deviation into proof.

    Args:
        candidate: Settled requests that it answered at this weight.
        stable: Likewise.
        share: Of the candidate, from 0 to 1, as asked for.
        testers: Requests of testers come on top; only too few prove anything then.
        apart: How many times as long one version may have been counted as the other, because
            Prometheus looks at them at different moments.

    """
    total = candidate + stable
    if not total or (testers and candidate >= share * total):
        return 0.0
    if (candidate and share == 0) or (stable and share == 1):
        return math.inf
    allowed = DEVIATION * min(share, 1 - share)
    least, most = _counted_longer(share - allowed, 1 / apart), _counted_longer(share + allowed, apart)
    likeliest = min(max(candidate / total, least), most)
    log_m = math.lgamma(CONCENTRATION) - math.lgamma(CONCENTRATION + total)
    for count, wanted, best in ((candidate, share, likeliest), (stable, 1 - share, 1 - likeliest)):
        if wanted:
            prior = CONCENTRATION * wanted
            log_m += math.lgamma(prior + count) - math.lgamma(prior) - count * math.log(best)
    return log_m


def _counted_longer(share: float, times: float) -> float:
    """Give the share that a version seems to have if it is counted so many times as long as the other."""
    return share * times / (share * times + 1 - share)
