"""The service put together: the only place where real parts are built and joined."""

import contextlib
import datetime as dt
import importlib.metadata
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

import structlog

from analysis.prometheus import Prometheus
from analysis.queries import Query
from analysis.samples import Answer, Failure, History
from config.selectors import parse_selector
from config.settings import Settings
from controller.clock import SystemClock, steady
from controller.errors import Conflict, Deposed, EdgeError
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.grants import Grants, Tenancy
from controller.gloo.named import VersionsInUse
from controller.gloo.objects import RouteHolders
from controller.kube.archive import KubeArchive
from controller.kube.canaries import KubeCanaries, canary_of, wanted_by
from controller.kube.client import Cluster, Limits
from controller.kube.credentials import login
from controller.kube.events import KubeEvents
from controller.kube.kept import kept
from controller.kube.lease import Alone, Clocks, Elector, Leadership, LeaseName, Terms
from controller.kube.line import KubeLine
from controller.kube.references import concerned, links
from controller.kube.resources import (
    CANARIES,
    CONFIG_MAPS,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.kube.shard import Shard, Whose
from controller.kube.templates import KubeTemplates
from controller.kube.watch import Listener, Watched
from controller.kube.workloads import KubeWorkloads
from controller.live import Live
from controller.measuring import Measuring
from controller.ports import Clock, Evidence, Free, Key, Line
from controller.reconcile import Reconciler
from controller.schedule import Outcome, Schedule
from controller.telemetry.asking import Counted
from controller.telemetry.http import Probes, Server
from controller.telemetry.line import LineCollector
from controller.telemetry.logging import configure
from controller.telemetry.metrics import Metrics
from controller.telemetry.progress import Progress
from controller.telemetry.traces import traces


PATIENCE = 10.0
"""Seconds to wait for the first lists before the first tick."""

_log = structlog.get_logger(__name__)


def run(settings: Settings, live: Live) -> int:
    """Look after Canaries until SIGTERM or SIGINT; `live` is what may change meanwhile.

    Returns:
        The exit code: 0 after a signal, 1 if the service could not be started.

    """
    configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    with _signalled(stop):
        metrics = Metrics()
        try:
            leadership = _leadership(settings, metrics)
            cluster = Cluster.connect(
                settings.kubeconfig,
                settings.context,
                user_agent=_user_agent(),
                on_request=metrics.kubernetes_request,
                permit=leadership.permit,
            )
            service = Service(settings, cluster, metrics, leadership, live)
        except (EdgeError, OSError) as error:
            _log.error("service.impossible", error=str(error))
            return 1
        service.start(stop)
        stop.wait()
        _log.info("service.stopping")
        service.stop()
    _log.info("service.stopped")
    return 0


class Service:
    """Watches, ticks and probes of one process.

    Raises:
        OSError: the address of the probes cannot be listened on.

    """

    def __init__(
        self, settings: Settings, cluster: Cluster, metrics: Metrics, leadership: Leadership, live: Live
    ) -> None:
        clock = SystemClock()
        self._cluster = cluster
        self._metrics = metrics
        self._leadership = leadership
        self._live = live
        self._clock = clock
        self._shard = Shard(parse_selector(settings.selector or ""))
        self._watch_canaries = kept(cluster, CANARIES, settings.namespaces, index=wanted_by)
        deployments = kept(cluster, DEPLOYMENTS, settings.namespaces)
        holders = (
            kept(cluster, VIRTUAL_SERVICES, settings.gateways),
            kept(cluster, ROUTE_TABLES, settings.gateways),
            kept(cluster, UPSTREAM_GROUPS, settings.gateways),
        )
        upstreams = kept(cluster, UPSTREAMS, settings.gateways, index=bases)
        templates = kept(cluster, METRIC_TEMPLATES, settings.namespaces)
        line, stops = _line(cluster, settings)
        self._watches = (deployments, *holders, upstreams, templates, *stops)
        self._archive = KubeArchive(cluster)
        progress = Progress(metrics, lambda key: self._watch_canaries.get(*key))
        self._canaries = KubeCanaries(cluster, self._watch_canaries, progress.recorded, self._shard.mine)
        self._traces = traces(os.environ)
        self._reconciler = Reconciler(
            canaries=self._canaries,
            workloads=VersionsInUse(KubeWorkloads(cluster, deployments), upstreams),
            routes=GlooRoutes(cluster, RouteHolders(cluster, *holders), upstreams, _grants(settings)),
            measuring=Measuring(_evidence(settings, metrics, clock), clock),
            templates=KubeTemplates(templates),
            archive=self._archive,
            events=KubeEvents(cluster, clock, instance=socket.gethostname()),
            clock=clock,
            line=line,
            platform=live,
            tracing=self._traces,
        )
        self._schedule = Schedule(self._tick, clock, workers=settings.workers, observe=self._ticked)
        self._watch_canaries.subscribe(self._canary_changed)
        for watched in self._watches:
            watched.subscribe(
                self._line_changed if watched in stops else self._wake_concerned(watched.resource)
            )
            watched.on_recovery(self._wake_all)
        metrics.follow(KubeCanaries(cluster, self._watch_canaries, mine=self._shard.told))
        live.on_change(self._wake_all)
        metrics.registry.register(LineCollector(line))
        probes = Probes(lambda: self._schedule.alive, self._unready, self._measured)
        self._server = Server(probes, settings.listen_host, settings.listen_port)

    def start(self, stop: threading.Event) -> None:
        """Begin: Canaries come last, so that no tick runs before what it looks at is known."""
        self._server.start()
        self._schedule.start()
        for watched in self._watches:
            watched.start()
        deadline = time.monotonic() + PATIENCE
        while not all(watched.synced or watched.problem for watched in self._watches):
            if stop.wait(0.02) or time.monotonic() > deadline:
                break
        self._watch_canaries.start()
        self._leadership.start(self._wake_all)
        _log.info("service.started", server=self._cluster.server)

    def stop(self) -> None:
        """Finish the ticks in hand, then let go of everything."""
        finished = self._schedule.stop()
        if not finished:
            _log.warning("service.impatient", detail="a tick is still running")
        self._leadership.stop(release=finished)
        for watched in (self._watch_canaries, *self._watches):
            watched.stop()
        self._server.stop()
        self._cluster.close()
        self._traces.close()

    def _tick(self, key: Key) -> dt.datetime | None:
        """Look at a Canary if it is on this process to do so; who is elected looks at all of them."""
        with self._leadership.acting() as leads:
            if not leads:
                self._shard.has_left(key)
                return None
            try:
                self._part(key)
                with self._traces.tick(key, self._canaries.get):
                    return self._reconciler.tick(key)
            except Deposed as error:
                _log.warning("tick.ended", canary=str(key), error=str(error))
                return None

    def _part(self, key: Key) -> None:
        """Say on a Canary that was looked after here how far its release got, if that is so."""
        document = self._watch_canaries.get(*key) if self._shard.is_leaving(key) else None
        if document is not None and (after := self._shard.farewell(document, self._clock.now())):
            _log.warning("canary.left", canary=str(key), because=after.reason)
            with contextlib.suppress(Conflict):  # another controller was faster, or the Canary is gone
                self._canaries.record(canary_of(document), after)
        self._shard.has_left(key)

    def _ticked(self, outcome: Outcome, seconds: float, late: float) -> None:
        if self._leadership.leading:
            self._metrics.tick(outcome, seconds, late)

    def _measured(self) -> bytes:
        self._metrics.lead(leading=self._leadership.leading)
        self._metrics.settings(valid=self._live.valid)
        return self._metrics.text()

    def _unready(self) -> tuple[str, ...]:
        return tuple(
            f"{watched.resource}: {watched.problem or 'not listed yet'}"
            for watched in (self._watch_canaries, *self._watches)
            if watched.problem or not watched.synced
        )

    def _canary_changed(self, namespace: str, name: str, document: Document | None) -> None:
        key = Key(namespace, name)
        match self._shard.changed(key, document):
            case Whose.OURS:
                self._schedule.add(key)
            case Whose.LEFT:
                self._schedule.wake(key)
            case Whose.OTHERS:
                pass
            case Whose.NOBODYS:
                self._schedule.remove(key)
                self._reconciler.forget(key)
                self._archive.forget(key)
                self._wake_all()  # what it claimed may be theirs now

    def _line_changed(self, namespace: str, name: str, document: Document | None) -> None:
        _log.warning("line.free" if document is None else "line.stopped", configmap=f"{namespace}/{name}")
        self._wake_all()

    def _wake_all(self) -> None:
        for canary in self._canaries.all():
            self._schedule.wake(canary.key)

    def _wake_concerned(self, resource: Resource) -> Listener:
        known: dict[tuple[str, str], frozenset[str]] = {}

        def changed(namespace: str, name: str, document: Document | None) -> None:
            address, found = (namespace, name), links(document)
            rewired = known.pop(address, None) != found
            if document is not None:
                known[address] = found
            for key in concerned(self._canaries.all(), resource, address, document, rewired=rewired):
                self._schedule.wake(key)

        return changed


def _grants(settings: Settings) -> Grants:
    return Grants(tenancy=Tenancy(frozenset(settings.reachable), strict=settings.tenancy == "strict"))


def _user_agent() -> str:
    return f"crossfade/{importlib.metadata.version('crossfade')}"


def _leadership(settings: Settings, metrics: Metrics) -> Leadership:
    """Join the election, if there is one: over a connection of its own, which waits for nobody else."""
    if not settings.leader_election:
        return Alone()
    terms = Terms(
        settings.lease_duration.total_seconds(),
        settings.lease_renew_within.total_seconds(),
        settings.lease_retry.total_seconds(),
    )
    patience = terms.renew_within / 4
    leases = Cluster(
        login(settings.kubeconfig, settings.context),
        user_agent=_user_agent(),
        on_request=metrics.kubernetes_request,
        limits=Limits(connect=patience, read=patience, attempts=1),
    )
    lease = LeaseName(settings.lease_namespace or leases.namespace, settings.lease_name)
    identity = f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"
    return Elector(leases, lease, identity, terms, Clocks(steady, SystemClock().now))


def _line(cluster: Cluster, settings: Settings) -> tuple[Line, tuple[Watched, ...]]:
    """Give what stops all releases, and what has to be watched to know of it."""
    if settings.stop_configmap is None:
        return Free(), ()
    namespace, _, name = settings.stop_configmap.partition("/")
    watched = Watched(cluster, CONFIG_MAPS, namespace).only(name)
    return KubeLine(watched, namespace, name), (watched,)


class _NoPrometheus:
    """Implements `controller.ports.Evidence` where no Prometheus was named: nothing can be judged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def ask_now(self, queries: Sequence[Query]) -> tuple[dt.datetime, Mapping[str, Answer]]:
        return self._clock.now(), _absent(queries)

    def ask(self, queries: Sequence[Query], at: dt.datetime) -> Mapping[str, Answer]:  # noqa: ARG002
        return _absent(queries)

    def history(
        self,
        queries: Sequence[Query],
        start: dt.datetime,  # noqa: ARG002
        end: dt.datetime,  # noqa: ARG002
        step: dt.timedelta,  # noqa: ARG002
    ) -> Mapping[str, History]:
        return _absent(queries)


def _absent(queries: Sequence[Query]) -> dict[str, Failure]:
    failure = Failure("no Prometheus is configured: set CROSSFADE_PROMETHEUS_URL")
    return dict.fromkeys((query.id for query in queries), failure)


def _evidence(settings: Settings, metrics: Metrics, clock: Clock) -> Evidence:
    if settings.prometheus_url is None:
        _log.warning(
            "prometheus.absent", detail="CROSSFADE_PROMETHEUS_URL is not set: every rollout will hold"
        )
        return _NoPrometheus(clock)
    if settings.prometheus_insecure_skip_verify:
        _log.warning(
            "prometheus.unverified", detail="CROSSFADE_PROMETHEUS_INSECURE_SKIP_VERIFY: anybody may answer"
        )
    prometheus = Prometheus(
        settings.prometheus_url,
        settings.prometheus_timeout,
        clock.now,
        metrics.prometheus_request,
        settings.prometheus_access,
    )
    return Counted(prometheus, metrics.asked)


@contextlib.contextmanager
def _signalled(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on the first SIGTERM or SIGINT; the second one does what it always does."""
    known = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def heed(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        for number, handler in known.items():
            signal.signal(number, handler)

    for number in known:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in known.items():
            signal.signal(number, handler)
