"""The Gloo stand-in as a process: watches the API, keeps Envoy's files and the objects' statuses right.

`python -m sandbox.gloo --kubeconfig FILE --envoy-dir FOLDER [--envoy-admin URL]`, against any API server.
"""

import argparse
import threading
import time
from pathlib import Path

import structlog

from sandbox.gloo.status import Reporter
from sandbox.gloo.translate import host_name, translate
from sandbox.gloo.world import Verdict, World
from sandbox.gloo.xds import Admin, Publisher, prepare
from sandbox.kube import (
    ENDPOINT_SLICES,
    PODS,
    ROUTE_TABLES,
    SERVICES,
    UNREACHABLE,
    UPSTREAM_GROUPS,
    UPSTREAMS,
    VIRTUAL_SERVICES,
    Key,
    Kube,
    Resource,
    gone,
)
from sandbox.mirror import Mirror


RESOURCES = {
    "virtual_services": VIRTUAL_SERVICES,
    "route_tables": ROUTE_TABLES,
    "upstreams": UPSTREAMS,
    "upstream_groups": UPSTREAM_GROUPS,
    "services": SERVICES,
    "slices": ENDPOINT_SLICES,
    "pods": PODS,
}
SETTLE = 0.005  # seconds: changes that come together are translated together
PAUSE = 0.5  # seconds until a status that could not be written is tried again

log = structlog.get_logger()
Verdicts = dict[tuple[Resource, Key], Verdict]


class Gloo:
    """Translates whatever the mirror holds, each time it changes."""

    def __init__(self, kube: Kube, publisher: Publisher, reporter: Reporter) -> None:
        self._kube = kube
        self._publisher = publisher
        self._reporter = reporter
        self._changed = threading.Event()
        self._mirror = Mirror(kube, list(RESOURCES.values()), self._changed.set)

    def run(self, ready: Path | None) -> None:
        """Follow the API until the process ends; `ready` is written after the first translation."""
        self._mirror.start()
        while True:
            self._changed.wait()
            time.sleep(SETTLE)
            self._changed.clear()
            if not self._mirror.complete:
                continue
            self._report(self._translate())
            if ready:
                ready.touch()

    def _translate(self) -> Verdicts:
        world = World(**{name: self._mirror.objects(resource) for name, resource in RESOURCES.items()})
        translation = translate(world, self._publisher.published())
        refused = self._publisher.publish(translation)
        verdicts = translation.verdicts
        for resource, key in verdicts:
            if resource == VIRTUAL_SERVICES and host_name(key) in refused:
                verdicts[resource, key] = Verdict("Rejected", "Envoy refused these routes; its log says why")
        return verdicts

    def _report(self, verdicts: Verdicts) -> None:
        for (resource, key), verdict in verdicts.items():
            document = self._mirror.objects(resource).get(key)
            patch = document and self._reporter.patch(resource, document, verdict)
            if not patch:
                continue
            try:
                self._mirror.put(resource, self._kube.merge(resource, key, patch))
            except UNREACHABLE as error:
                if not gone(error):
                    log.warning("gloo.status_not_written", name=key, error=str(error).split("\n")[0])
                    threading.Timer(PAUSE, self._changed.set).start()
            else:
                log.info("gloo.reported", kind=resource.kind, name=key, state=verdict.state)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.gloo", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--envoy-dir", type=Path, required=True, help="where Envoy reads its files")
    parser.add_argument("--envoy-admin", required=True, help="URL of Envoy's admin interface")
    parser.add_argument("--namespace", default="gloo-system", help="the namespace Gloo reports from")
    parser.add_argument("--numeric-states", action="store_true", help="write states as numbers, as long ago")
    parser.add_argument("--ready-file", type=Path, help="written once the first translation is published")
    options = parser.parse_args()
    prepare(options.envoy_dir)
    kube = Kube(options.kubeconfig, manager="gloo")
    publisher = Publisher(options.envoy_dir, Admin(options.envoy_admin))
    Gloo(kube, publisher, Reporter(options.namespace, options.numeric_states)).run(options.ready_file)


if __name__ == "__main__":
    main()
