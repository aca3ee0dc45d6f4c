"""/healthz, /readyz and /metrics.

Alive: the process answers and its scheduler works; otherwise a restart helps.
Ready: the cluster can be read; otherwise the answer says what cannot, and why.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from controller.telemetry.metrics import CONTENT_TYPE


_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Probes:
    """Where the answers come from; called from another thread."""

    alive: Callable[[], bool]
    unready: Callable[[], tuple[str, ...]]
    """One sentence for each thing that is not ready; empty if all is."""
    metrics: Callable[[], bytes]


def application(probes: Probes) -> Starlette:
    """Build the three answers."""

    def healthz(_request: Request) -> Response:
        alive = probes.alive()
        return PlainTextResponse("ok\n" if alive else "the scheduler has died\n", 200 if alive else 503)

    def readyz(_request: Request) -> Response:
        reasons = probes.unready()
        return PlainTextResponse("\n".join(reasons or ("ok",)) + "\n", 503 if reasons else 200)

    def metrics(_request: Request) -> Response:
        return Response(probes.metrics(), headers={"Content-Type": CONTENT_TYPE})

    return Starlette(
        routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
    )


class Server:
    """Serves the probes in a thread of its own.

    Raises:
        OSError: the address cannot be listened on.

    """

    def __init__(self, probes: Probes, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.port: int = self._socket.getsockname()[1]
        configuration = uvicorn.Config(
            application(probes),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(configuration)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="probes", daemon=True
        )
        _log.info("probes.listening", host=host, port=self.port)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        self._thread.join(timeout=3)
        self._socket.close()
