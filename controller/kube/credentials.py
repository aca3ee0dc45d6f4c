"""Who we are and where the cluster is: a kubeconfig, or the service account of a pod."""

import contextlib
import ipaddress
import os
from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Login:
    """Everything that a connection needs."""

    configuration: kube_client.Configuration
    user: str = ""
    """As the kubeconfig's context names it; empty in a pod."""
    namespace: str = "default"
    """Where the kubeconfig's context points."""


def login(kubeconfig: str | None, context: str | None) -> Login:
    """Take the kubeconfig where one is named (here or in KUBECONFIG), a pod's account, or ~/.kube/config.

    Raises:
        Unavailable: what was taken cannot be read.

    """
    configuration = kube_client.Configuration()
    named = kubeconfig or context or "KUBECONFIG" in os.environ
    if not named and "KUBERNETES_SERVICE_HOST" in os.environ:
        with _readable("service account of this pod"):
            kube_config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        return Login(configuration)
    with _readable(f"kubeconfig {kubeconfig or os.environ.get('KUBECONFIG') or '~/.kube/config'}"):
        kube_config.load_kube_config(  # type: ignore[no-untyped-call]
            kubeconfig, context, configuration, persist_config=False
        )
        known, current = kube_config.list_kube_config_contexts(kubeconfig)  # type: ignore[no-untyped-call]
        chosen = next((entry for entry in known if entry["name"] == context), current)["context"]
        user, namespace = chosen.get("user", ""), chosen.get("namespace") or "default"
    if _is_loopback(configuration.host):
        configuration.proxy = None  # whatever the environment says; kubectl does the same
    return Login(configuration, user, namespace)


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
