"""This process: settings from the environment, read once, then handed on as values."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.problems import faults
from config.quantities import Duration


PREFIX = "CROSSFADE_"


def _web_address(url: str) -> str:
    if not url.startswith(("http://", "https://")) or not url.partition("://")[2].strip("/"):
        shown = url.rpartition("@")[2]  # without user and password
        raise ValueError(f"found {shown!r}; an address looks like http://prometheus.monitoring:9090")
    return url.rstrip("/")


class Settings(BaseSettings):
    """How `crossfade run` runs; each field is the variable CROSSFADE_<FIELD>."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    prometheus_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """Where Prometheus answers. None: nothing can be judged, and every rollout holds as Blind."""
    prometheus_timeout: Duration = dt.timedelta(seconds=5)
    """For one request to Prometheus, retries included."""
    namespace: str | None = None
    """The only namespace whose Canaries are looked after; None: all of them."""
    kubeconfig: str | None = None
    """File; None: the cluster that the process runs in, else KUBECONFIG, else ~/.kube/config."""
    context: str | None = None
    """Of the kubeconfig; None: its current one."""
    listen_host: str = "127.0.0.1"
    """Address of /healthz, /readyz and /metrics; 0.0.0.0 in a pod."""
    listen_port: int = Field(default=8080, ge=0, le=65535)
    """0: any free port."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """auto: console on a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    workers: int = Field(default=8, ge=1, le=64)
    """How many Canaries are looked at in the same moment."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names its variable, what was found and what is right."""


def load_settings(**given: Any) -> Settings:  # noqa: ANN401  # each field has its own type
    """Read the environment; what is given and not None wins over it.

    Raises:
        SettingsError: naming every variable that is wrong.

    """
    given = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        read = {str(detail["loc"][0]): detail["input"] for detail in error.errors()}
        wrong = [
            f"{PREFIX}{str(fault.at[0]).upper()}: {fault.message}" for fault in faults(error, Settings, read)
        ]
        raise SettingsError("; ".join(wrong)) from None
