"""Copies of live requests, as people ask for them, and why they cannot be had everywhere."""

import datetime as dt
from typing import Self

from pydantic import Field, model_validator

from config.model import Model, Number
from config.problems import FieldError
from config.quantities import Duration


NO_ADDRESS = "Gloo copies requests to an Upstream, not to a subset; shadowing needs destinations: Upstreams"
NO_OPTIONS = (
    "an UpstreamGroup has no options.shadowing; name a VirtualService or RouteTable whose routes lead "
    "to it in spec.routes too, or leave shadowing out"
)
_FINEST = 0.0001
"""Percent: Envoy counts in millionths."""


class Shadowing(Model):
    """Before testing: the candidate gets a copy of live requests, and nobody gets its answers."""

    percentage: Number = Field(ge=_FINEST, le=100)
    """How many of the requests are copied, in percent."""
    duration: Duration = dt.timedelta(0)
    """Copy at least this long."""

    @model_validator(mode="after")
    def _as_envoy_counts(self) -> Self:
        if self.percentage != round(self.percentage, 4):
            raise FieldError(f"found {self.percentage}; Envoy counts in steps of {_FINEST}", "percentage")
        return self
