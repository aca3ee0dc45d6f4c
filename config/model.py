"""What all models of the Canary resource have in common."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


Approval = Literal["Manual", "Automatic"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A number that was written as one: not `"5"`, not `true`, not `.inf`."""


class Model(BaseModel):
    """Frozen, closed, camelCase outside and snake_case inside."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, use_attribute_docstrings=True
    )


def cel(rule: str, message: str) -> dict[str, Any]:
    """Give a rule in the schema's form, so that the API server holds it as well."""
    return rules((rule, message))


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """Give several rules with their messages, as `cel` does."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}
