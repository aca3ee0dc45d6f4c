"""Where a Canary's traffic is moved: references to Gloo's objects that hold routes."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from config.model import Model, cel
from config.names import Name, PathPrefix, RouteName
from config.problems import FieldError


RouteKind = Literal["VirtualService", "RouteTable", "UpstreamGroup"]
_NO_CHOICE = "an UpstreamGroup has no routes to choose from; leave out names and prefixes"


class RouteRef(Model):
    """An object whose routes lead to the Upstream."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            "self.kind != 'UpstreamGroup' || (!has(self.names) && !has(self.prefixes))", _NO_CHOICE
        )
    )

    kind: RouteKind = "VirtualService"
    """A VirtualService or RouteTable stands for the RouteTables that it delegates to as well."""
    name: Name
    """Its name."""
    namespace: Name
    """Its namespace."""
    names: tuple[RouteName, ...] = Field(default=(), max_length=64)
    """Only its routes with these names; default, without `prefixes`: all that lead to the Upstream."""
    prefixes: tuple[PathPrefix, ...] = Field(default=(), max_length=64)
    """Only its routes with a matcher of exactly one of these prefixes; beside `names`: these as well."""

    @model_validator(mode="after")
    def _choosable(self) -> Self:
        for field, given in (("names", self.names), ("prefixes", self.prefixes)):
            if given and self.kind == "UpstreamGroup":
                raise FieldError(_NO_CHOICE, field)
            for at, each in enumerate(given):
                if each in given[:at]:
                    raise FieldError(f"{each} is named twice", field, at)
        return self
