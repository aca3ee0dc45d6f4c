"""Which of several processes looks after Canaries: the one that holds a Lease, as long as its clock says.

No two clocks are compared. Who holds the lease counts from the moment before its
last successful write was sent, and stops `Terms.renew_within` after that. The
others count `Terms.duration` from the moment after they first saw that write, and
every write is under the resourceVersion that was read. So the holder has stopped
before anybody may take the lease, unless one clock runs much faster than another.

A process that was frozen may wake up anywhere, also between a look at the clock
and a request. What it can still do then is up to `Elector.permit`, which every
write of `kube.client` asks last, and to what the API server checks: the Canary's
resourceVersion, and the generation of what is changed.
"""

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import structlog

from controller.errors import Conflict, Deposed, EdgeError, NotFound
from controller.kube.resources import LEASES, Document, Resource


_NEVER = float("-inf")
_HELD, _OBSERVED = "lease.held", "lease.observed"
_log = structlog.get_logger(__name__)


class LeaseName(NamedTuple):
    """Where the lease is."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Show as `namespace/name`."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts; seconds."""

    duration: float = 15.0
    """After this long without a sign of its holder others may take it."""
    renew_within: float = 10.0
    """After this long without a success its holder stops."""
    retry: float = 2.0
    """Between two looks, and between two renewals."""


@dataclass(frozen=True, slots=True)
class Clocks:
    """Where time comes from."""

    steady: Callable[[], float]
    """Seconds; never set, and running on while the process, or the machine, sleeps."""
    now: Callable[[], dt.datetime]
    """For people who read the lease; nothing is decided by it."""


class Leases(Protocol):
    """What is needed of `kube.client.Cluster`: one attempt per call, and a timeout well below the terms."""

    def read(self, resource: Resource, namespace: str, name: str) -> Document:
        """Get one object."""
        ...

    def create(self, resource: Resource, namespace: str, document: Mapping[str, Any]) -> Document:
        """Create an object; Conflict if it exists already."""
        ...

    def replace(self, resource: Resource, document: Mapping[str, Any]) -> Document:
        """Store an object under its resourceVersion; Conflict if that moved."""
        ...


def _nothing() -> None: ...


class Leadership(Protocol):
    """Whether this process may change anything."""

    @property
    def leading(self) -> bool:
        """Tell whether no other process can be leading."""
        ...

    def acting(self) -> contextlib.AbstractContextManager[bool]:
        """Do something as the leader of this very term, if it is ours; tell whether it is."""
        ...

    def permit(self) -> None:
        """Let a write pass; raises Deposed if another process may be leading."""
        ...

    def start(self, on_elected: Callable[[], None]) -> None:
        """Begin to compete; `on_elected` is called whenever everything has to be looked at anew."""
        ...

    def stop(self, *, release: bool) -> None:
        """Compete no more. `release`: nothing is in hand any more, and another one may lead at once."""
        ...


class Alone:
    """Implements `Leadership` where there is one process only: it always leads."""

    leading = True

    def acting(self) -> contextlib.AbstractContextManager[bool]:
        """Do something."""
        return contextlib.nullcontext(enter_result=True)

    def permit(self) -> None:
        """Let every write pass."""

    def start(self, on_elected: Callable[[], None]) -> None:
        """There is nobody to compete with."""

    def stop(self, *, release: bool) -> None:
        """Leave nothing behind."""


class Elector:
    """Implements `Leadership` among several: takes the lease when it is free, and keeps it.

    Rounds are run by one thread; all else is thread-safe. `on_elected` is called by that
    thread when this process begins to lead, or leads again after a time of doubt.
    """

    def __init__(
        self,
        leases: Leases,
        lease: LeaseName,
        identity: str,
        terms: Terms,
        clocks: Clocks,
    ) -> None:
        self._leases = leases
        self._lease = lease
        self._identity = identity
        self._terms = terms
        self._clocks = clocks
        self._until = _NEVER
        self._term = 0
        """Changes before `_until` does, so that whoever reads both without a lock is never too bold."""
        self._mine: Document | None = None
        """As it was last written by us; None once it has been somebody else's."""
        self._seen: tuple[Document | None, float] | None = None
        """The lease as last read, None if there was none; and since when it has been like that."""
        self._told: str | None = None
        """The last word in the log about who leads."""
        self._acting = threading.local()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._on_elected: Callable[[], None] = _nothing

    @property
    def leading(self) -> bool:
        """Tell whether no other process can be leading."""
        return self._clocks.steady() < self._until

    @contextlib.contextmanager
    def acting(self) -> Iterator[bool]:
        """Do something as the leader of this very term, if it is ours; tell whether it is.

        What is begun in one term is not finished in another one, even if both are ours:
        somebody else may have led in between.
        """
        term, leads = self._term, self.leading
        self._acting.term = term
        try:
            yield leads
        finally:
            self._acting.term = None

    def permit(self) -> None:
        """Let a write pass.

        Raises:
            Deposed: another process may be leading, or has been since this was begun.

        """
        term = getattr(self._acting, "term", None)
        if not self.leading or term not in (None, self._term):
            raise Deposed(f"Lease {self._lease}: no longer held by {self._identity}")

    def start(self, on_elected: Callable[[], None]) -> None:
        """Begin to compete."""
        self._on_elected = on_elected
        self._thread.start()

    def stop(self, *, release: bool) -> None:
        """Compete no more. `release`: nothing is in hand any more, and another one may lead at once."""
        self._stop.set()
        self._thread.join(self._terms.renew_within)
        self._until = _NEVER
        if not release or self._thread.is_alive() or self._mine is None:
            return
        freed = {**self._mine["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            self._leases.replace(LEASES, {**self._mine, "spec": freed})
        except EdgeError as error:
            _log.warning("lease.not_released", lease=str(self._lease), error=str(error))
        else:
            _log.info("lease.released", lease=str(self._lease))

    def round(self) -> None:
        """Look once, and renew or take the lease if that is possible; what fails is tried again later."""
        try:
            if not self._renew():
                self._compete()
        except Conflict:
            pass  # somebody else was faster, and the next look tells who
        except EdgeError as error:
            self._tell("lease.unreachable", error=str(error))
        if self._mine is not None and not self.leading:
            self._tell("lease.doubtful", detail="not renewed in time: nothing is done until it is")

    def _run(self) -> None:
        while True:
            try:
                self.round()
            except Exception:  # noqa: BLE001  # whoever stops competing for good is worse
                _log.exception("lease.crashed", lease=str(self._lease))
            if self._stop.wait(self._terms.retry):
                return

    def _renew(self) -> bool:
        """Write our own lease once more; tell whether that is all."""
        if self._mine is None:
            return False
        try:
            self._write(self._mine, self._mine["spec"])
        except (Conflict, NotFound):
            return False
        return True

    def _compete(self) -> None:
        document = self._read()
        spec = (document or {}).get("spec") or {}
        if self._is_free():
            self._write(document, spec)
        elif document is not None:
            self._mine, self._until = None, _NEVER
            self._tell(_OBSERVED, holder=spec.get("holderIdentity"))

    def _read(self) -> Document | None:
        try:
            document = self._leases.read(LEASES, *self._lease)
        except NotFound:
            document = None
        if self._seen is None or _version(self._seen[0]) != _version(document):
            before = self._seen[0] if self._seen else None
            expected = document if document is not None or before is None else {**before, "metadata": {}}
            self._seen = expected, self._clocks.steady()
        return document

    def _is_free(self) -> bool:
        """Tell whether it is ours, or nobody's, or whoever held it last has had to stop by now."""
        seen, since = self._seen or (None, _NEVER)
        spec = (seen or {}).get("spec") or {}
        if spec.get("holderIdentity") in (None, "", self._identity):
            return True
        lasts = spec.get("leaseDurationSeconds")
        duration = float(lasts) if isinstance(lasts, int) and lasts > 0 else self._terms.duration
        return self._clocks.steady() >= since + duration

    def _write(self, document: Document | None, spec: Mapping[str, Any]) -> None:
        """Store the lease as ours; from just before that moment it is."""
        now = self._clocks.now().isoformat(timespec="microseconds").replace("+00:00", "Z")
        transitions = spec.get("leaseTransitions") or 0
        held = spec.get("holderIdentity") == self._identity
        mine = {
            **spec,
            "holderIdentity": self._identity,
            "leaseDurationSeconds": round(self._terms.duration),
            "acquireTime": (spec.get("acquireTime") if held else None) or now,
            "renewTime": now,
            "leaseTransitions": transitions if held or document is None else transitions + 1,
        }
        sent = self._clocks.steady()
        stored = self._store(document, mine)
        if document is not None and _version(stored) == _version(document):
            return  # the same to the microsecond: nothing was stored, and nobody can tell that we are alive
        same = self._mine is not None and _term_of(self._mine) == _term_of(stored)
        anew = not same or self._clocks.steady() >= self._until
        if not same:
            self._term += 1
        self._mine, self._seen, self._until = stored, None, sent + self._terms.renew_within
        if not self.leading:
            return  # the answer took too long
        if anew:
            self._tell(_HELD, term=mine["leaseTransitions"])
            self._on_elected()
        self._told = _HELD

    def _store(self, document: Document | None, spec: Document) -> Document:
        if document is not None:
            return self._leases.replace(LEASES, {**document, "spec": spec})
        namespace, name = self._lease
        new = {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": {"namespace": namespace, "name": name},
            "spec": spec,
        }
        return self._leases.create(LEASES, namespace, new)

    def _tell(self, event: str, **details: object) -> None:
        """Log what has changed since the last word."""
        word = f"{event} {details['holder']}" if "holder" in details else event
        if word == self._told:
            return
        self._told = word
        say = _log.info if event in (_HELD, _OBSERVED) else _log.warning
        say(event, lease=str(self._lease), identity=self._identity, **details)


def _version(document: Document | None) -> str | None:
    return None if document is None else (document.get("metadata") or {}).get("resourceVersion")


def _term_of(document: Document) -> tuple[object, object, object]:
    """Tell one time in office from another one: nobody else has held the lease in between."""
    spec = document["spec"]
    return document["metadata"].get("uid"), spec.get("leaseTransitions"), spec.get("acquireTime")
