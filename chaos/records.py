"""What is left of a chaos run: the shapes that the actors write and the referee reads.

A run leaves one folder:

======================== =========================================================================
``audit.jsonl``          the API server's account of writes (`sandbox.apiserver.audit`)
``access.jsonl``         Envoy's access log (`sandbox.envoy.ACCESS_LOG`)
``load/NS.users.jsonl``  what users of the application in namespace NS got, a line a second, as
                         `sandbox.load.Load` writes it to its journal
``load/NS.testers.jsonl`` the same of testers; their requests begin with `TESTERS`, so that
                         the access log tells them from users
``deeds.jsonl``          what chaos did, a `Deed` a line, when each really began and ended
======================== =========================================================================

Every application has a namespace of its own, and is named by it. Times are seconds since 1970.
"""

import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self


AUDIT, ACCESS, DEEDS, LOAD = "audit.jsonl", "access.jsonl", "deeds.jsonl", "load"
TESTERS = "/testers"
"""How the path of every request begins that carries the header of a testing route."""
CONTROLLER = "crossfade/"
"""How the user agent of the controller begins; that of the command line is `crossfade-cli`."""

Document = Mapping[str, Any]


class What(enum.StrEnum):
    """Kinds of deeds, and what `details` says of each."""

    APPLICATION = "application"
    """An application was set up: `host` (the Host header of its users), `canary` (its name)."""
    RELEASE = "release"
    """A Deployment was applied: `version`, `trait` (see `Trait`), `deployment`."""
    ORDER = "order"
    """A command: `do` (promote, promote-full, approve, abort, pause, resume, retry), `ok` (it was taken)."""
    EDIT = "edit"
    """A human changed an object: `object` (KIND NAMESPACE/NAME), `how` in a few words; `meant`, a map
    from JSON Pointers in the object to values that have to be there as long as no other edit names them."""
    STOP = "stop"
    """All releases were stopped by ConfigMap from `began` to `ended`."""
    FAULT = "fault"
    """Something was broken from `began` to `ended`: `part` (see `Part`), `kind` in a word or two
    (delay, answer 503, reset, lose, drop, expire, stopped, frozen, killed), `app` empty: for all."""
    QUIET = "quiet"
    """From `began` on nothing was broken any more; at `ended` chaos looked for the last time."""


class Trait(enum.StrEnum):
    """What a released version is like."""

    GOOD = "good"
    BAD = "bad"
    """One request in twenty fails."""
    SLOW = "slow"
    """Slower than the limit of a latency metric that its Canary has."""
    CRASHING = "crashing"
    """It ends after a while, again and again."""
    NEVER_READY = "never-ready"


class Part(enum.StrEnum):
    """What a fault breaks."""

    APISERVER = "apiserver"
    PROMETHEUS = "prometheus"
    GLOO = "gloo"
    CONTROLLER = "controller"
    KUBELET = "kubelet"
    ENVOY = "envoy"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that chaos did."""

    what: What
    began: float
    ended: float
    app: str = ""
    """Namespace of the application; empty where it is about all."""
    details: Document = field(default_factory=dict)

    def line(self) -> str:
        """Write it as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":")) + "\n"

    @classmethod
    def read(cls, line: str) -> Self:
        """Read what `line` wrote."""
        found = json.loads(line)
        return cls(**{**found, "what": What(found["what"])})

    def overlaps(self, begin: float, end: float) -> bool:
        """Tell whether it was going on at any time from `begin` to `end`."""
        return self.began <= end and begin <= self.ended


@dataclass(frozen=True, slots=True)
class Write:
    """A write that the API server took in, and the object after it (before it, where it was deleted)."""

    time: float
    verb: str
    resource: str
    """With its group: `virtualservices.gateway.solo.io`."""
    subresource: str
    namespace: str
    name: str
    manager: str
    user_agent: str
    object: Document

    @property
    def ours(self) -> bool:
        """The controller made it."""
        return self.user_agent.startswith(CONTROLLER)

    @property
    def key(self) -> tuple[str, str, str]:
        """Resource, namespace and name."""
        return self.resource, self.namespace, self.name

    @property
    def deletes(self) -> bool:
        """It was an order to delete."""
        return self.verb in {"delete", "deletecollection"}

    @classmethod
    def read(cls, line: str) -> Self:
        """Read a line of the audit."""
        found = json.loads(line)
        return cls(
            time=moment(found["time"]),
            verb=found["verb"],
            resource=found["resource"],
            subresource=found.get("subresource") or "",
            namespace=found.get("namespace") or "",
            name=found.get("name") or "",
            manager=found.get("manager") or "",
            user_agent=found.get("userAgent") or "",
            object=found["object"],
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A request as Envoy logged it."""

    time: float
    """When it came."""
    seconds: float
    """How long it took."""
    host: str
    path: str
    code: int
    """0: the client went away."""
    flags: str
    address: str
    """Of the pod that was asked, with its port; empty if none was."""

    @property
    def by_tester(self) -> bool:
        """It carried the header of a testing route."""
        return self.path.startswith(TESTERS)

    @classmethod
    def read(cls, line: str) -> Self:
        """Read a line of the access log."""
        found = json.loads(line)
        address = found.get("upstream_host") or "-"
        return cls(
            time=moment(found["time"]),
            seconds=float(found.get("duration") or 0) / 1000,
            host=found.get("authority") or "",
            path=found.get("path") or "",
            code=int(found.get("code") or 0),
            flags=found.get("flags") or "-",
            address="" if address == "-" else address,
        )


@dataclass(frozen=True, slots=True)
class Second:
    """What one kind of users of an application got within about a second: version -> codes -> how many."""

    app: str
    testers: bool
    began: float
    ended: float
    codes: Mapping[str, Mapping[str, int]]


def writes(folder: Path) -> Iterator[Write]:
    """Read the audit, oldest first."""
    return map(Write.read, lines(folder / AUDIT))


def requests(folder: Path) -> Iterator[Request]:
    """Read the access log line by line, in about the order in which requests ended."""
    return map(Request.read, lines(folder / ACCESS))


def deeds(folder: Path) -> list[Deed]:
    """Read what was done, in the order of its beginnings."""
    return sorted(map(Deed.read, lines(folder / DEEDS)), key=lambda deed: deed.began)


def seconds(folder: Path) -> Iterator[Second]:
    """Read the accounts of all load generators."""
    for path in sorted((folder / LOAD).glob("*.jsonl")):
        app, who, _ = path.name.rsplit(".", 2)
        for line in lines(path):
            found = json.loads(line)
            codes = {version: tally["codes"] for version, tally in found["versions"].items()}
            ended = float(found["time"])
            yield Second(app, who == "testers", ended - float(found["seconds"]), ended, codes)


def lines(path: Path) -> Iterator[str]:
    """Read a file line by line; of a last line that was cut off nothing."""
    with path.open() as file:
        for line in file:
            if line.endswith("\n"):
                yield line


def moment(text: str) -> float:
    """Read a time as the API server and Envoy write it."""
    return dt.datetime.fromisoformat(text).timestamp()
