"""Who we are and where the cluster is: a kubeconfig, or the service account of a pod."""

import contextlib
import functools
import ipaddress
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import yaml
from kubernetes import client as kube_client
from kubernetes import config as kube_config

from controller.errors import Unavailable
from controller.kube.answers import shortened


_UNREADABLE = (
    kube_config.ConfigException,
    yaml.YAMLError,
    OSError,
    AttributeError,  # these four: the loader looks into whatever the file holds
    LookupError,
    TypeError,
    ValueError,
)


def _nothing_new() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Login:
    """Everything that a connection needs."""

    configuration: kube_client.Configuration
    user: str = ""
    """As the kubeconfig's context names it; empty in a pod."""
    namespace: str = "default"
    """Where the kubeconfig's context points."""
    renew: Callable[[], bool] = _nothing_new
    """Read the token anew and put it into the configuration; tells whether it is another one.

    Raises Unavailable if it cannot be read, or if the cluster is another one by now.
    """


def login(kubeconfig: str | None, context: str | None) -> Login:
    """Take the kubeconfig where one is named (here or in KUBECONFIG), a pod's account, or ~/.kube/config.

    Raises:
        Unavailable: what was taken cannot be read.

    """
    configuration = kube_client.Configuration()
    named = kubeconfig or context or "KUBECONFIG" in os.environ
    if not named and "KUBERNETES_SERVICE_HOST" in os.environ:
        _load_account(configuration)
        return Login(configuration, renew=functools.partial(_renew, configuration, _load_account))
    with _readable(f"kubeconfig {kubeconfig or os.environ.get('KUBECONFIG') or '~/.kube/config'}"):
        _load_file(kubeconfig, context, configuration)
        known, current = kube_config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
        entry = next((entry for entry in known if entry["name"] == context), current)
        chosen = entry["context"]
        user, namespace = chosen.get("user", ""), chosen.get("namespace") or "default"
    if _is_loopback(configuration.host):
        configuration.proxy = None  # whatever the environment says; kubectl does the same
    load = functools.partial(_load_file, kubeconfig, entry["name"])
    return Login(configuration, user, namespace, functools.partial(_renew, configuration, load))


def _load_account(configuration: kube_client.Configuration) -> None:
    with _readable("service account of this pod"):
        kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]


def _load_file(kubeconfig: str | None, context: str | None, configuration: kube_client.Configuration) -> None:
    with _readable(f"kubeconfig {kubeconfig or os.environ.get('KUBECONFIG') or '~/.kube/config'}"):
        kube_config.load_kube_config(  # type: ignore[no-untyped-call]
            kubeconfig, context, configuration, persist_config=False
        )


def _renew(
    configuration: kube_client.Configuration, load: Callable[[kube_client.Configuration], None]
) -> bool:
    fresh = kube_client.Configuration()
    load(fresh)
    if fresh.host != configuration.host:
        raise Unavailable(f"the credentials are for {fresh.host} now, not for {configuration.host}: restart")
    before = configuration.api_key
    configuration.refresh_api_key_hook = fresh.refresh_api_key_hook
    configuration.api_key = fresh.api_key
    return bool(fresh.api_key != before)


@contextlib.contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as error:
        raise Unavailable(f"{what}: {shortened(str(error))}") from error


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
