"""Whether all releases are stopped, as a metric: read when somebody asks for it, not kept."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from controller.ports import Line


class LineCollector(Collector):
    """Gives `crossfade_stopped`."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def collect(self) -> Iterator[Metric]:
        """Give the one series."""
        words = "1 while all releases are stopped by the ConfigMap for that, or it cannot be read; else 0."
        yield GaugeMetricFamily("crossfade_stopped", words, value=float(bool(self._line.stopped())))
