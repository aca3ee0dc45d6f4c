"""PromQL from the metrics of a Canary: strings in, strings out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """One expression with the name under which its answer comes back."""

    id: str
    expression: str
