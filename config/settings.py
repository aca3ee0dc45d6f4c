"""This process: settings from options, the environment and a file, then handed on as values."""

import datetime as dt
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, SettingsConfigDict

from config.access import Access
from config.presets import Presets, sound_presets
from config.problems import FieldError, faults, found, path_of
from config.quantities import Duration
from config.selectors import parse_selector
from config.settings_file import NO_FILE, SettingsFile, SettingsFileError, read_settings_file


PREFIX = "CROSSFADE_"
FILE_VARIABLE = f"{PREFIX}CONFIG"
"""Names the settings file."""

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_ADDRESS = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
EVERYWHERE = "*"
"""In place of namespaces: all of them."""
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


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError(f"found {text!r}; a namespace and a name look like crossfade/crossfade-stop")
    return text


def _namespaces(given: object) -> object:
    """Read `shop, cart`, or a list; the same namespaces are the same text."""
    if isinstance(given, str):
        parts: object = given.split(",") if given.strip() else []
    else:
        parts = given
    if not isinstance(parts, list | tuple):
        raise ValueError(f"{found(given)}; namespaces look like shop, cart")  # noqa: TRY004
    names = [each.strip() if isinstance(each, str) else each for each in parts]
    for name in names:
        if not isinstance(name, str) or not _NAMESPACE.fullmatch(name):
            raise ValueError(f"{found(name)}; a namespace looks like shop, several like shop, cart")
    return ",".join(dict.fromkeys(names))


def _some_namespaces(given: object) -> object:
    """Read namespaces; none of them stand for all."""
    return None if given is None else _namespaces(given) or None


def _reachable(given: object) -> object:
    """Read namespaces, or `*` for all of them."""
    everywhere = [EVERYWHERE] in (given, [given])
    return EVERYWHERE if everywhere else _namespaces(given)


def _selector(text: str) -> str:
    return parse_selector(text).text


def _headers(given: object) -> object:
    """Read `{"name": "value"}`, or a `name: value` per line; the values may be secrets and are not shown."""
    if isinstance(given, Mapping):
        named = dict(given)
    elif not isinstance(given, str):
        raise ValueError("a mapping is needed; headers look like {X-Scope-OrgID: shop}")  # noqa: TRY004
    elif given.lstrip().startswith("{"):
        try:
            named = json.loads(given)
        except ValueError as error:
            raise ValueError('found broken JSON; headers look like {"X-Scope-OrgID": "shop"}') from error
    else:
        lines = [line.partition(":") for line in given.splitlines() if line.strip()]
        if not all(colon for _, colon, _ in lines):
            raise ValueError("found a line without a colon; headers look like X-Scope-OrgID: shop")
        named = {name.strip(): value.strip() for name, _, value in lines}
        if len(named) < len(lines):
            raise ValueError("found a header twice")
    for name, value in named.items():
        if not _HEADER.fullmatch(name):
            raise ValueError(f"found the name {name!r}; a header looks like X-Scope-OrgID")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ValueError(f"{name}: text of printable ASCII is needed")
        if name.lower() in _OURS:
            raise ValueError(f"{name}: cannot be set")
    return named


class Settings(BaseSettings):
    """How `crossfade run` runs; each field is the variable CROSSFADE_<FIELD>, and camelCase in the file."""

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
    namespace: Annotated[str | None, BeforeValidator(_some_namespaces)] = None
    """The only namespaces whose Canaries are looked after, like `shop,cart`; None: all of them."""
    selector: Annotated[str, AfterValidator(_selector)] | None = None
    """Look after the Canaries with these labels only, like `team=shop,tier!=test`; None: all of them."""
    allowed_namespaces: Annotated[str, BeforeValidator(_reachable)] = "gloo-system"
    """Where a Canary may name routes and Upstreams, besides its own namespace; an asterisk: everywhere."""
    tenancy: Literal["open", "strict"] = "open"
    """strict: an object of another namespace also has to be annotated `crossfade.dev/allow-namespaces`."""
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
    stop_configmap: Annotated[str, AfterValidator(_address)] | None = None
    """`namespace/name` of the ConfigMap that stops all releases while it exists; None: nothing does."""
    presets: Annotated[Presets, NoDecode, BeforeValidator(sound_presets)] = Field(default_factory=dict)
    """Metrics that Canaries name as `preset`, besides the built-in ones; in the variable as JSON."""
    leader_election: bool = False
    """Take turns with other processes by a Lease: only the one that holds it changes anything."""
    lease_name: str = Field(default="crossfade", pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    """All that take turns with each other name the same."""
    lease_namespace: str | None = None
    """None: the one of the kubeconfig's context; `default` in a pod."""
    lease_duration: Duration = dt.timedelta(seconds=15)
    """How long a leader may be silent before another process takes over; whole seconds."""
    lease_renew_within: Duration = dt.timedelta(seconds=10)
    """How long a leader that cannot renew its lease goes on; at most 4/5 of the duration."""
    lease_retry: Duration = dt.timedelta(seconds=2)
    """Between two looks at the lease, and between two renewals; at most half of the time to renew."""

    @field_validator("*", mode="before")
    @classmethod
    def _a_number_is_no_switch(cls, value: object, info: ValidationInfo) -> object:
        """Refuse `workers: yes`, which would be 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is int:
            raise ValueError(f"{found(value)}; a whole number is needed")
        return value

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
        self._check_lease()
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

    def _check_lease(self) -> None:
        duration, renew, retry = self.lease_duration, self.lease_renew_within, self.lease_retry
        if duration.microseconds or duration < dt.timedelta(seconds=1):
            raise FieldError(
                f"found {duration.total_seconds():g}s; whole seconds are needed", "lease_duration"
            )
        for name, value, longest, of in (
            ("lease_renew_within", renew, duration * 4 / 5, f"4/5 of {_variable('lease_duration')}"),
            ("lease_retry", retry, renew / 2, f"half of {_variable('lease_renew_within')}"),
        ):
            if not dt.timedelta(0) < value <= longest:
                most, found_ = longest.total_seconds(), value.total_seconds()
                raise FieldError(f"found {found_:g}s; more than 0s, at most {most:g}s is needed ({of})", name)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces whose Canaries are looked after; empty: all."""
        return tuple(self.namespace.split(",")) if self.namespace else ()

    @property
    def reachable(self) -> tuple[str, ...]:
        """The namespaces in which Canaries may name objects besides their own; `*`: all."""
        return tuple(filter(None, self.allowed_namespaces.split(",")))

    @property
    def gateways(self) -> tuple[str, ...]:
        """The namespaces in which Gloo's objects are followed: where Canaries reach; empty: all."""
        if not self.namespaces or "*" in self.reachable:
            return ()
        return tuple(dict.fromkeys((*self.namespaces, *self.reachable)))

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
    """Settings that cannot be used; the message says which, what was found and what is right."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and where each of them was said."""

    settings: Settings
    origins: Mapping[str, str]
    """By name: `option`, the variable, or the line of the file; what is a default has none."""


def load_settings(config: str | None = None, **given: Any) -> Settings:  # noqa: ANN401  # each has its own type
    """Read the settings; what is given and not None wins over the environment, and that over the file.

    Args:
        config: The settings file; None: the one that CROSSFADE_CONFIG names, if it does.
        given: Settings by name.

    Raises:
        SettingsError: naming every variable and every line that is wrong.

    """
    return load_with_origins(config, **given).settings


def load_with_origins(config: str | None = None, **given: Any) -> Loaded:  # noqa: ANN401  # as above
    """Do what `load_settings` does, and tell where the settings come from."""
    path = config or os.environ.get(FILE_VARIABLE)
    try:
        file = read_settings_file(path, Settings.model_fields) if path else NO_FILE
    except SettingsFileError as error:
        raise SettingsError(str(error)) from None
    said = {name: value for name, value in given.items() if value is not None}
    environment = EnvSettingsSource(Settings)()
    try:
        settings = Settings(**{**file.values, **environment, **said})
    except ValidationError as error:
        raise SettingsError(_wrong(error, file, {*environment, *said})) from None
    origins = (
        {name: file.place(name) for name in file.values}
        | {name: _variable(name) for name in environment}
        | dict.fromkeys(said, "option")
    )
    return Loaded(settings, origins)


def differing(one: Settings, other: Settings) -> tuple[str, ...]:
    """Give the names of the settings that are not the same, as the file has them: `logLevel`."""
    return tuple(
        to_camel(name) for name in Settings.model_fields if getattr(one, name) != getattr(other, name)
    )


def _wrong(error: ValidationError, file: SettingsFile, elsewhere: Collection[str]) -> str:
    """Name each fault by the variable, or by the line of the file that it comes from."""
    in_file = file.values.keys() - set(elsewhere)
    read: dict[str, object] = dict.fromkeys(Settings.model_fields) | {
        str(detail["loc"][0]): detail["input"] for detail in error.errors() if detail["loc"]
    }
    read |= {name: _HIDDEN for name in _SECRETS if read[name] is not None}
    told = []
    for fault in faults(error, Settings, read):
        name, inside, message = str(fault.at[0]), fault.at[1:], fault.message
        for other in Settings.model_fields.keys() - set(elsewhere) if name in in_file else in_file:
            message = re.sub(rf"\b{_variable(other)}\b", to_camel(other), message)
        place = ": ".join(filter(None, (_variable(name), path_of(inside))))
        told.append(file.told(name, message, *inside) if name in in_file else f"{place}: {message}")
    return "; ".join(told)


class _Hidden:
    def __repr__(self) -> str:
        return "a secret"


_HIDDEN = _Hidden()
_SECRETS = ("prometheus_bearer_token", "prometheus_password")
