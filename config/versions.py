"""What a Canary's versions are: Deployments behind one Upstream, or two Upstreams of any kind."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from config.model import Model
from config.names import Label, LabelKey, Name
from config.problems import FieldError, found


_NO_PODS = {"crossfade.dev/versions": "upstreams"}
"""A selector that no Deployment answers to."""
_INSTEAD = "leave it out: spec.versions names the Upstreams of both versions"
NOT_BOTH = "say workload and upstream, or versions where there are no Deployments, but not both"
NO_PODS_TO_STOP = "where spec.versions names Upstreams there is no Deployment to delete or scale down"


class Workload(Model):
    """Which Deployments of the Canary's namespace serve the application."""

    selector: dict[LabelKey, Label] = Field(min_length=1)
    """Labels that all Deployments of the application carry in their pod template."""
    version_label: LabelKey = "version"
    """The pod label that names the version; also the key of the Upstream's subsets."""
    version: Label | None = None
    """The version that should serve. Omitted: the newest Deployment."""
    stable: Label | None = None
    """The version that serves today. Only needed where the routes and Deployments do not tell."""


class UpstreamRef(Model):
    """The Gloo Upstream of the application."""

    name: Name
    """Its name."""
    namespace: Name
    """Its namespace, often gloo-system."""


class Versions(Model):
    """In place of `workload` and `upstream`: two Upstreams of any kind, whose names are the versions'."""

    stable: UpstreamRef
    """The one that serves today."""
    candidate: UpstreamRef | None = None
    """The one that should serve. Omitted: nothing is to be released."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.candidate is not None and self.candidate.name == self.stable.name:
            message = "as stable; versions are told apart by the names of their Upstreams"
            raise FieldError(f"found {self.candidate.name}, {message}", "candidate", "name")
        return self

    @property
    def all(self) -> tuple[UpstreamRef, ...]:
        """Give both, or the only one."""
        return (self.stable,) if self.candidate is None else (self.stable, self.candidate)


def filled(given: object) -> object:
    """Where a spec says `versions`, put in what the other two fields stand for.

    Raises:
        FieldError: it says these as well, or wants Upstreams cloned, or Deployments stopped.

    """
    if not isinstance(given, Mapping) or given.get("versions") is None:
        return given
    for field in ("workload", "upstream"):
        if given.get(field) is not None:
            raise FieldError(f"{found(given[field])}; {_INSTEAD}", field)
    if given.get("destinations", "Subsets") != "Subsets":
        raise FieldError(f"{found(given['destinations'])}; {_INSTEAD}", "destinations")
    for field, key, stops in (
        ("promotion", "decommission", {"Delete"}),
        ("rollback", "scaleDown", {"ScaleToZero"}),
    ):
        section = given.get(field)
        if isinstance(section, Mapping) and section.get(key) in stops:
            raise FieldError(f"{found(section[key])}; {NO_PODS_TO_STOP}", field, key)
    return {**given, **_stand_ins(given["versions"])}


def _stand_ins(given: Any) -> dict[str, Any]:  # noqa: ANN401  # as written
    """Give what stands for the two fields; of versions that make no sense, something that says nothing."""
    try:
        versions = Versions.model_validate(given)
    except ValidationError:
        nothing = UpstreamRef.model_construct(name="", namespace="")
        return {"workload": Workload.model_construct(selector=_NO_PODS), "upstream": nothing}
    workload = Workload.model_construct(
        selector=_NO_PODS,
        version_label="version",
        version=versions.all[-1].name,
        stable=versions.stable.name,
    )
    return {"workload": workload, "upstream": versions.stable}
