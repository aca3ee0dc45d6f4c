"""The service put together: the only place where real parts are built and joined."""

import contextlib
import datetime as dt
import importlib.metadata
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

import structlog

from analysis.prometheus import Prometheus
from analysis.queries import Query
from analysis.samples import Answer, Failure, History
from config.settings import Settings
from controller.clock import SystemClock
from controller.errors import EdgeError
from controller.gloo.client import GlooRoutes
from controller.gloo.clones import bases
from controller.gloo.named import VersionsInUse
from controller.gloo.objects import RouteHolders
from controller.kube.archive import KubeArchive
from controller.kube.canaries import KubeCanaries, wanted_by
from controller.kube.client import Cluster
from controller.kube.events import KubeEvents
from controller.kube.references import concerned, links
from controller.kube.resources import (
    CANARIES,
    DEPLOYMENTS,
    METRIC_TEMPLATES,
    ROUTE_TABLES,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Document,
    Resource,
)
from controller.kube.templates import KubeTemplates
from controller.kube.watch import Listener, Watched
from controller.kube.workloads import KubeWorkloads
from controller.measuring import Measuring
from controller.ports import Clock, Evidence, Key
from controller.reconcile import Reconciler
from controller.schedule import Schedule
from controller.telemetry.http import Probes, Server
from controller.telemetry.logging import configure
from controller.telemetry.metrics import Metrics


PATIENCE = 10.0
"""Seconds to wait for the first lists before the first tick."""

_log = structlog.get_logger(__name__)


def run(settings: Settings) -> int:
    """Look after Canaries until SIGTERM or SIGINT.

    Returns:
        The exit code: 0 after a signal, 1 if the service could not be started.

    """
    configure(settings.log_format, settings.log_level)
    stop = threading.Event()
    with _signalled(stop):
        metrics = Metrics()
        try:
            cluster = Cluster.connect(
                settings.kubeconfig,
                settings.context,
                user_agent=f"crossfade/{importlib.metadata.version('crossfade')}",
                on_request=metrics.kubernetes_request,
            )
            service = Service(settings, cluster, metrics)
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

    def __init__(self, settings: Settings, cluster: Cluster, metrics: Metrics) -> None:
        clock = SystemClock()
        self._cluster = cluster
        self._watch_canaries = Watched(cluster, CANARIES, settings.namespace, index=wanted_by)
        deployments = Watched(cluster, DEPLOYMENTS, settings.namespace)
        holders = (
            Watched(cluster, VIRTUAL_SERVICES),
            Watched(cluster, ROUTE_TABLES),
            Watched(cluster, UPSTREAM_GROUPS),
        )
        upstreams = Watched(cluster, UPSTREAMS, index=bases)
        templates = Watched(cluster, METRIC_TEMPLATES, settings.namespace)
        self._watches = (deployments, *holders, upstreams, templates)
        self._archive = KubeArchive(cluster)
        self._canaries = KubeCanaries(cluster, self._watch_canaries)
        self._reconciler = Reconciler(
            canaries=self._canaries,
            workloads=VersionsInUse(KubeWorkloads(cluster, deployments), upstreams),
            routes=GlooRoutes(cluster, RouteHolders(cluster, *holders), upstreams),
            measuring=Measuring(_evidence(settings, metrics, clock), clock),
            templates=KubeTemplates(templates),
            archive=self._archive,
            events=KubeEvents(cluster, clock, instance=socket.gethostname()),
            clock=clock,
        )
        self._schedule = Schedule(
            self._reconciler.tick, clock, workers=settings.workers, observe=metrics.tick
        )
        self._watch_canaries.subscribe(self._canary_changed)
        for watched in self._watches:
            watched.subscribe(self._wake_concerned(watched.resource))
            watched.on_recovery(self._wake_all)
        metrics.follow(self._canaries)
        probes = Probes(lambda: self._schedule.alive, self._unready, metrics.text)
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
        _log.info("service.started", server=self._cluster.server)

    def stop(self) -> None:
        """Finish the ticks in hand, then let go of everything."""
        if not self._schedule.stop():
            _log.warning("service.impatient", detail="a tick is still running")
        for watched in (self._watch_canaries, *self._watches):
            watched.stop()
        self._server.stop()
        self._cluster.close()

    def _unready(self) -> tuple[str, ...]:
        return tuple(
            f"{watched.resource}: {watched.problem or 'not listed yet'}"
            for watched in (self._watch_canaries, *self._watches)
            if watched.problem or not watched.synced
        )

    def _canary_changed(self, namespace: str, name: str, document: Document | None) -> None:
        key = Key(namespace, name)
        if document is not None:
            self._schedule.add(key)
            return
        self._schedule.remove(key)
        self._reconciler.forget(key)
        self._archive.forget(key)
        self._wake_all()  # what it claimed may be theirs now

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
    return Prometheus(
        settings.prometheus_url,
        settings.prometheus_timeout,
        clock.now,
        metrics.prometheus_request,
        settings.prometheus_access,
    )


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
