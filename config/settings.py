"""This process: settings from the environment, read once, then handed on as values."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from config.access import Access
from config.problems import FieldError, faults
from config.quantities import Duration


PREFIX = "CROSSFADE_"

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_OURS = {"host", "content-length", "content-type", "transfer-encoding", "connection"}
"""Headers that belong to the request itself."""


def _web_address(url: str) -> str:
    right = "an address looks like http://prometheus.monitoring:9090"
    if "@" in url:  # the one before the host is gone by now: whatever this is, it may be a password
        raise ValueError(f"found an @ that belongs nowhere; in a password it is %40, and a / is %2F; {right}")
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"found {url!r}; {right}") from error
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"found {url!r}; {right}")
    if parts.query or parts.fragment:
        raise ValueError(f"found more than host and path; {right}")
    return url.rstrip("/")


def _headers(given: object) -> object:
    """Read `{"name": "value"}`, or a `name: value` per line; the values may be secrets and are not shown."""
    if not isinstance(given, str):
        return given
    if given.lstrip().startswith("{"):
        try:
            found = json.loads(given)
        except ValueError as error:
            raise ValueError('found broken JSON; headers look like {"X-Scope-OrgID": "shop"}') from error
    else:
        lines = [line.partition(":") for line in given.splitlines() if line.strip()]
        if not all(colon for _, colon, _ in lines):
            raise ValueError("found a line without a colon; headers look like X-Scope-OrgID: shop")
        found = {name.strip(): value.strip() for name, _, value in lines}
        if len(found) < len(lines):
            raise ValueError("found a header twice")
    for name, value in found.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"found the name {name!r}; a header looks like X-Scope-OrgID")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ValueError(f"{name}: text of printable ASCII is needed")
        if name.lower() in _OURS:
            raise ValueError(f"{name}: cannot be set")
    return found


class Settings(BaseSettings):
    """How `crossfade run` runs; each field is the variable CROSSFADE_<FIELD>."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True
    )

    prometheus_url: Annotated[str, AfterValidator(_web_address)] | None = None
    """Where Prometheus answers. None: nothing can be judged, and every rollout holds as Blind."""
    prometheus_timeout: Duration = dt.timedelta(seconds=5)
    """For one evaluation, retries included."""
    prometheus_bearer_token: SecretStr | None = None
    prometheus_bearer_token_file: str | None = None
    """Read again for every request."""
    prometheus_username: str | None = None
    prometheus_password: SecretStr | None = None
    prometheus_password_file: str | None = None
    """Read again for every request."""
    prometheus_ca_file: str | None = None
    """PEM; None: the authorities that the system trusts."""
    prometheus_cert_file: str | None = None
    """PEM; the certificate to be shown to Prometheus, with its key unless that has its own file."""
    prometheus_key_file: str | None = None
    prometheus_insecure_skip_verify: bool = False
    """Believe whoever answers under the name of Prometheus."""
    prometheus_headers: Annotated[Mapping[str, SecretStr], NoDecode, BeforeValidator(_headers)] = Field(
        default_factory=dict
    )
    """Sent with every request: JSON, or a `name: value` per line."""
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

    @model_validator(mode="before")
    @classmethod
    def _credentials_in_the_address(cls, given: Any) -> Any:  # noqa: ANN401  # pydantic's own
        """Keep user and password out of the address, which is shown."""
        url = given.get("prometheus_url")
        try:
            parts = urlsplit(url if isinstance(url, str) else "")
        except ValueError:
            return given  # the field's own validator says so
        userinfo, at, host = parts.netloc.rpartition("@")
        if not at:
            return given
        if given.get("prometheus_username"):
            raise FieldError(
                f"found beside a user in {PREFIX}PROMETHEUS_URL; set one of them", "prometheus_username"
            )
        username, _, password = userinfo.partition(":")
        return {
            **given,
            "prometheus_url": parts._replace(netloc=host).geturl(),
            "prometheus_username": unquote(username),
            "prometheus_password": unquote(password) or given.get("prometheus_password"),
        }

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for one, other in _EITHER:
            if getattr(self, one) and getattr(self, other):
                raise FieldError(f"found beside {_variable(one)}; set one of them", other)
        for one, others in _NEEDS:
            if getattr(self, one) and not any(getattr(self, other) for other in others):
                raise FieldError(f"needs {' or '.join(map(_variable, others))} too", one)
        if {name.lower() for name in self.prometheus_headers} & {"authorization"} and (
            self.prometheus_username or self.prometheus_bearer_token or self.prometheus_bearer_token_file
        ):
            raise FieldError(
                "found Authorization beside a token or a user; set one of them", "prometheus_headers"
            )
        if (self.prometheus_url or "").startswith("http://"):
            for name in _TLS:
                if getattr(self, name):
                    raise FieldError(f"needs an address with https:// in {_variable('prometheus_url')}", name)
        return self

    @property
    def prometheus_access(self) -> Access:
        """Who we are for Prometheus, and whom we trust; the secrets in the clear."""
        return Access(
            token=_revealed(self.prometheus_bearer_token),
            token_file=self.prometheus_bearer_token_file,
            username=self.prometheus_username,
            password=_revealed(self.prometheus_password),
            password_file=self.prometheus_password_file,
            ca_file=self.prometheus_ca_file,
            cert_file=self.prometheus_cert_file,
            key_file=self.prometheus_key_file,
            verify=not self.prometheus_insecure_skip_verify,
            headers={name: value.get_secret_value() for name, value in self.prometheus_headers.items()},
        )


_TLS = (
    "prometheus_ca_file", "prometheus_cert_file", "prometheus_key_file", "prometheus_insecure_skip_verify"
)  # fmt: skip
_EITHER = (
    ("prometheus_bearer_token", "prometheus_bearer_token_file"),
    ("prometheus_username", "prometheus_bearer_token"),
    ("prometheus_username", "prometheus_bearer_token_file"),
    ("prometheus_password", "prometheus_password_file"),
    ("prometheus_ca_file", "prometheus_insecure_skip_verify"),
)
_NEEDS = (
    ("prometheus_username", ("prometheus_password", "prometheus_password_file")),
    ("prometheus_password", ("prometheus_username",)),
    ("prometheus_password_file", ("prometheus_username",)),
    ("prometheus_key_file", ("prometheus_cert_file",)),
)


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _revealed(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


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
        read = dict.fromkeys(Settings.model_fields) | {
            str(detail["loc"][0]): detail["input"] for detail in error.errors() if detail["loc"]
        }
        wrong = [f"{_variable(str(fault.at[0]))}: {fault.message}" for fault in faults(error, Settings, read)]
        raise SettingsError("; ".join(wrong)) from None
