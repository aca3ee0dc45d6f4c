"""Every pod has a loopback address of its own, so that container ports can be used as they are written."""

import ipaddress
import itertools
import socket
from collections.abc import Iterable


class Addresses:
    """Hands out a network's addresses in turn, so that one just given back is not used again at once."""

    def __init__(self, network: str) -> None:
        hosts = [str(host) for host in ipaddress.ip_network(network).hosts()]
        self._all = set(hosts)
        self._turn = itertools.cycle(hosts)
        self._used: set[str] = set()

    def take(self, ports: Iterable[int], wanted: str | None = None) -> str:
        """Return a free address on which `ports` can be bound, `wanted` if it is free.

        Raises:
            LookupError: all addresses are in use.
        """
        if wanted in self._all - self._used:
            self._used.add(wanted)
            return wanted
        for _ in range(len(self._all)):
            address = next(self._turn)
            if address not in self._used and all(_bindable(address, port) for port in ports):
                self._used.add(address)
                return address
        raise LookupError(f"all {len(self._all)} pod addresses are in use")

    def give_back(self, address: str) -> None:
        """Take an address back."""
        self._used.discard(address)


def _bindable(address: str, port: int) -> bool:
    with socket.socket() as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((address, port))
        except OSError:
            return False
        return True
