"""How Prometheus may be asked: who we are, and whom we trust. Secrets are not in any `repr`."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials, certificates and headers; what is None or empty is not used.

    Files are read when they are needed, and again after they have changed.
    """

    token: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`."""
    token_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str | None = None
    ca_file: str | None = None
    """PEM; the server's certificate must descend from one of these. None: what the system trusts."""
    cert_file: str | None = None
    """PEM; shown to the server. It may hold the key too."""
    key_file: str | None = None
    verify: bool = True
    """False: whoever answers is believed."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request."""
