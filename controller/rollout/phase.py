"""Which phases belong together."""

from config.status import Phase


AT_REST = frozenset({Phase.IDLE, Phase.PROMOTED, Phase.ROLLED_BACK})
"""Nothing is under way; the routes are pinned to stable."""

CARRYING = frozenset({Phase.SHADOWING, Phase.TESTING, Phase.SHIFTING, Phase.BAKING, Phase.FINISHING})
"""Requests of testers or users, or copies of them, may reach the candidate."""

WEIGHED = frozenset({Phase.SHADOWING, Phase.TESTING, Phase.SHIFTING, Phase.BAKING})
"""Evidence about the candidate is collected."""
