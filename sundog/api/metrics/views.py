"""From readings to Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sundog.control.readings import Readings

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def text(readings: Readings, requests: CollectorRegistry) -> bytes:
    """All metrics: the cloud's, and those of its requests."""
    return generate_latest(_Given(families(readings))) + generate_latest(requests)


def families(readings: Readings) -> Iterator[Metric]:
    """The metrics of a cloud."""
    clock = readings.clock
    yield _gauges("sundog_hosts", "Hosts by state, as far as it was noticed", "state", readings.hosts)
    yield _gauges("sundog_servers", "Servers by the status that users see", "status", readings.servers)
    yield _gauges("sundog_capacity", "What can be used, by resource class", "resource_class", readings.capacity)
    yield _gauges("sundog_used", "What is used, by resource class", "resource_class", readings.used)
    yield GaugeMetricFamily("sundog_faults_ordered", "Faults of operations that stand", readings.faults)
    yield GaugeMetricFamily("sundog_event_streams", "Streams of events that are open", readings.streams)
    yield GaugeMetricFamily("sundog_clock_rate", "Seconds of the cloud a real one; 0 in a pause", clock.rate)
    yield GaugeMetricFamily("sundog_clock_seconds", "The cloud's time, in seconds since 1970", clock.time.timestamp())
    yield GaugeMetricFamily("sundog_clock_lag_seconds", "Real seconds that it is behind its rate", clock.lag_s)
    yield CounterMetricFamily("sundog_clock_slipped_seconds", "Real seconds behind that it gave up", clock.slipped_s)
    yield CounterMetricFamily("sundog_clock_elapsed_seconds", "Its seconds since the start", clock.elapsed_s)


def _gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, meaning, labels=(label,))
    for value, amount in values.items():
        family.add_metric((value,), amount)
    return family


class _Given(Collector):
    """Metrics that have been collected."""

    def __init__(self, given: Iterable[Metric]) -> None:
        self._given = given

    def collect(self) -> Iterable[Metric]:
        return self._given
