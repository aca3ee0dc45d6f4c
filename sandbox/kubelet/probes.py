"""Is a pod ready? Its readiness probe asked over loopback, or whether its first port accepts connections."""

import asyncio
import contextlib
from dataclasses import dataclass

from sandbox.kube import Document
from sandbox.kubelet.pods import container_of, port_of


EAGER = 0.1  # seconds between looks at a pod that is not ready yet
RELAXED = 1.0  # seconds between looks at one that is, if the probe does not say


@dataclass(frozen=True, slots=True)
class Probe:
    """What to ask, how often (seconds), and how many failures in a row make a ready pod unready."""

    port: int | None
    path: str | None = None
    delay: float = 0.0
    period: float = RELAXED
    timeout: float = 1.0
    failures: int = 1

    @classmethod
    def of(cls, pod: Document) -> "Probe":
        """Return the readiness probe of the pod's container, or a look at its first port."""
        spec = container_of(pod).get("readinessProbe")
        if not spec:
            return cls(port_of(pod))
        http = spec.get("httpGet") or {}
        wanted = (http or spec.get("tcpSocket") or {}).get("port")
        return cls(
            port=port_of(pod, wanted),
            path=http.get("path", "/") if http else None,
            delay=spec.get("initialDelaySeconds", 0),
            period=spec.get("periodSeconds", 10),
            timeout=spec.get("timeoutSeconds", 1),
            failures=spec.get("failureThreshold", 3),
        )

    async def succeeds(self, address: str) -> bool:
        """Ask once. A pod without a port is ready as soon as it runs."""
        if self.port is None:
            return True
        try:
            async with asyncio.timeout(self.timeout):
                return await self._ask(address, self.port)
        except (OSError, TimeoutError):
            return False

    async def _ask(self, address: str, port: int) -> bool:
        reader, writer = await asyncio.open_connection(address, port)
        try:
            if self.path is None:
                return True
            request = f"GET {self.path} HTTP/1.0\r\nHost: {address}\r\nUser-Agent: kube-probe\r\n\r\n"
            writer.write(request.encode())
            words = (await reader.readline()).split()
            return len(words) > 1 and words[1][:1] in {b"2", b"3"}
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
