"""The application that stands in for every image: it answers a text, and fails or dawdles when told to.

`hashicorp/http-echo` knows `-text` and `-listen` only; `crossfade/demo-app` adds the flags below and exports
its metrics at /metrics; an image nobody has heard of is an echo that ignores what it does not understand.
Standard library only, and run with `python -S`: a pod has to be up in a tenth of a second, many times over.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


OWN_IMAGE = "crossfade/demo-app"
ECHO_IMAGE = "hashicorp/http-echo"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SPREAD = 0.25  # sigma of the lognormal latency: p99 is about 1.8 times the median
REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}
LONGEST_FAREWELL = 5.0


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the arguments ask for; shares are 0 to 1, times in seconds."""

    text: str = ""
    listen: str = ":5678"
    error_rate: float = 0.0
    error_path: str = "/"
    burst: float = 0.0
    latency: float = 0.0
    slow_share: float = 0.0
    slow_latency: float = 1.0
    crash_after: float | None = None
    never_ready: bool = False
    seed: str | None = None


class Dice:
    """Decides each request's fate from a seeded source: the same seed tells the same story."""

    def __init__(self, options: Behaviour) -> None:
        self._options = options
        self._random = random.Random(options.seed)  # noqa: S311  # a simulation
        self._in_burst = False

    def fails(self, path: str) -> bool:
        """Say whether the request for `path` is to fail; over time `--error-rate` of them are."""
        options = self._options
        if not path.startswith(options.error_path) or options.error_rate <= 0:
            return False
        if options.burst <= 1 or options.error_rate >= 1:
            return self._random.random() < options.error_rate
        # Two states, good and bad: bad lasts `burst` requests on average and takes `error_rate` of the time.
        leave_bad = 1 / options.burst
        enter_bad = leave_bad * options.error_rate / (1 - options.error_rate)
        if self._random.random() < (leave_bad if self._in_burst else enter_bad):
            self._in_burst = not self._in_burst
        return self._in_burst

    def delay(self) -> float:
        """Return how many seconds the answer takes."""
        options = self._options
        slow = options.slow_share > 0 and self._random.random() < options.slow_share
        median = options.slow_latency if slow else options.latency
        return median * math.exp(self._random.gauss(0, SPREAD)) if median > 0 else 0.0


class Metrics:
    """Requests by code, and how long they took, in Prometheus' text format."""

    def __init__(self, version: str) -> None:
        self._version = version
        self._codes: Counter[int] = Counter()
        self._buckets = [0] * len(BUCKETS)
        self._sum = 0.0

    def observe(self, code: int, seconds: float) -> None:
        """Count one answer."""
        self._codes[code] += 1
        self._sum += seconds
        for i, bound in enumerate(BUCKETS):
            self._buckets[i] += seconds <= bound

    def render(self) -> str:
        """Return the exposition."""
        version = f"version={json.dumps(self._version)}"
        name = "http_request_duration_seconds"
        total = sum(self._codes.values())
        return "\n".join(
            [
                "# HELP http_requests_total Requests answered.",
                "# TYPE http_requests_total counter",
                *(f'http_requests_total{{{version},code="{c}"}} {n}' for c, n in sorted(self._codes.items())),
                f"# HELP {name} Seconds from request to answer.",
                f"# TYPE {name} histogram",
                *(
                    f'{name}_bucket{{{version},le="{le}"}} {n}'
                    for le, n in zip(BUCKETS, self._buckets, strict=True)
                ),
                f'{name}_bucket{{{version},le="+Inf"}} {total}',
                f"{name}_sum{{{version}}} {self._sum}",
                f"{name}_count{{{version}}} {total}",
                "",
            ]
        )


@dataclass(frozen=True, slots=True)
class Request:
    """What is needed of a request: its path, and whether the connection stays open after the answer."""

    path: str
    keep_alive: bool


class App:
    """The HTTP/1.1 server around dice and metrics."""

    def __init__(self, options: Behaviour, version: str, *, own: bool) -> None:
        self._text = options.text
        self._version = version
        self._own = own
        self._dice = Dice(options)
        self._metrics = Metrics(version)
        self._busy = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it ends."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            keep_alive = True
            while keep_alive:
                request = await read_request(reader)
                self._busy += 1
                try:
                    writer.write(await self._answer(request))
                    await writer.drain()
                finally:
                    self._busy -= 1
                keep_alive = request.keep_alive
        writer.close()

    async def say_farewell(self) -> None:
        """Wait for the requests in hand, a few seconds at most."""
        deadline = time.monotonic() + LONGEST_FAREWELL
        while self._busy and time.monotonic() < deadline:  # noqa: ASYNC110  # cheaper than an event per request
            await asyncio.sleep(0.01)

    async def _answer(self, request: Request) -> bytes:
        if self._own and request.path == "/metrics":
            return self._response(200, self._metrics.render())
        began = time.monotonic()
        delay = self._dice.delay()
        code = 500 if self._dice.fails(request.path) else 200
        if delay:
            await asyncio.sleep(delay)
        self._metrics.observe(code, time.monotonic() - began)
        return self._response(code, self._text + "\n" if code == 200 else "internal error\n")

    def _response(self, code: int, body: str) -> bytes:
        content = body.encode()
        version = f"x-app-version: {self._version}\r\n" if self._own else ""
        head = (
            f"HTTP/1.1 {code} {REASONS[code]}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            f"{version}content-length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content


async def read_request(reader: asyncio.StreamReader) -> Request:
    """Read one request and drop its body.

    Raises:
        asyncio.IncompleteReadError: the peer has gone.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    elif length := int(headers.get("content-length", "0")):
        await reader.readexactly(length)
    _, target, protocol = line.split(" ")
    closes = headers.get("connection", "").lower() == "close" or protocol == "HTTP/1.0"
    return Request(path=target.partition("?")[0], keep_alive=not closes)


def arguments(*, own: bool) -> argparse.ArgumentParser:
    """Return what this image understands: our own one everything, any other one http-echo's flags."""
    parser = argparse.ArgumentParser(allow_abbrev=False, argument_default=argparse.SUPPRESS)
    parser.add_argument("-text", "--text", help="the body of every good answer")
    parser.add_argument("-listen", "--listen", metavar=":PORT")
    if not own:
        return parser
    parser.add_argument("--error-rate", type=share, help="share of requests answered 500, 0 to 1")
    parser.add_argument("--error-path", metavar="PREFIX", help="only these paths fail")
    parser.add_argument("--burst", type=float, metavar="N", help="errors come in runs of N on average")
    parser.add_argument("--latency", type=float, metavar="SECONDS", help="median time to answer")
    parser.add_argument("--slow-share", type=share, help="share of requests that take --slow-latency")
    parser.add_argument("--slow-latency", type=float, metavar="SECONDS", help="median of the slow ones")
    parser.add_argument("--crash-after", type=float, metavar="SECONDS", help="exit with code 1 after that")
    parser.add_argument("--never-ready", action="store_true", help="stay up, but never listen")
    parser.add_argument("--seed", help="makes errors and latencies the same each time")
    return parser


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share between 0 and 1")
    return value


async def run(options: Behaviour, app: App, host: str) -> int:
    """Serve until SIGTERM (0) or until `--crash-after` is over (1)."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not stop.done():
            stop.set_result(code)

    loop.add_signal_handler(signal.SIGTERM, end, 0)
    if options.crash_after is not None:
        loop.call_later(options.crash_after, end, 1)
    if options.never_ready:
        return await stop
    port = int(options.listen.rpartition(":")[2])
    server = await asyncio.start_server(app.serve, host, port, backlog=512)
    code = await stop
    server.close()
    if code == 0:
        await app.say_farewell()
    return code


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Be the container that the arguments and the pod's environment describe."""
    image = environ.get("POD_IMAGE", OWN_IMAGE).removeprefix("docker.io/")
    own, known = OWN_IMAGE in image, ECHO_IMAGE in image
    parser = arguments(own=own)
    options = parser.parse_args(argv) if own or known else parser.parse_known_args(argv)[0]
    default = Behaviour(listen=f":{environ.get('POD_PORT', '5678')}")
    behaviour = dataclasses.replace(default, **vars(options))
    version = json.loads(environ.get("POD_LABELS", "{}")).get("version", "")
    app = App(behaviour, version, own=own)
    return asyncio.run(run(behaviour, app, environ.get("POD_IP", "127.0.0.1")))


if __name__ == "__main__":
    code = main(sys.argv[1:], os.environ)
    sys.stdout.flush()
    os._exit(code)  # a crash is a crash: open connections are cut, nothing is waited for
