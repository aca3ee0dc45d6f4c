"""Whether all releases are stopped, as far as whoever types may see: Canaries at rest say nothing of it."""

import os
import re

from config.settings import PREFIX
from controller.cli.session import CommandError, Session
from controller.errors import EdgeError
from controller.kube.line import told
from controller.kube.resources import CONFIG_MAPS


VARIABLE = f"{PREFIX}STOP_CONFIGMAP"
"""The controller's own setting, for those who named it otherwise than the chart does."""
USUAL = "crossfade/crossfade-stop"
"""As the chart names it when it is installed under its own name."""

_ADDRESS = re.compile(r"[a-z0-9][-.a-z0-9]*/[a-z0-9][-.a-z0-9]*")


def stopped(session: Session) -> str:
    """Say that all releases are stopped, and by what; empty if they are not, or if that cannot be read.

    Raises:
        CommandError: the variable names no ConfigMap.

    """
    address = os.environ.get(VARIABLE) or USUAL
    if not _ADDRESS.fullmatch(address):
        raise CommandError(f"{VARIABLE}: found {address!r}; namespace and name are needed, like {USUAL}")
    namespace, _, name = address.partition("/")
    try:
        return f"all releases are stopped {told(session.cluster.read(CONFIG_MAPS, namespace, name))}"
    except EdgeError:
        return ""
