"""The relay's numbers as Prometheus text; read when asked, nothing is counted here."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from crdtsync_relay.hub import Hub

__all__ = ["Metrics"]

_COUNTERS = {
    "frames_in": "Frames received.",
    "bytes_in": "Bytes of frames received.",
    "frames_out": "Frames queued to be sent.",
    "batches": "Transactions in which updates were applied.",
    "commits": "Appends to the log that were on disk.",
    "updates_logged": "Updates appended to the log.",
    "loads": "Rooms read from the log.",
    "load_failures": "Rooms that could not be read.",
    "log_failures": "Appends that failed.",
    "trials": "Large updates tried in a process of their own.",
    "refused": "Updates that admission refused, in rooms that have ended.",
}


class Metrics(Collector):
    """The numbers of one relay.

    Args:
        hub: The relay's.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Everything, in the text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Read the numbers."""
        hub = self._hub
        yield GaugeMetricFamily("crdtsync_relay_rooms", "Rooms loaded.", hub.rooms)
        yield GaugeMetricFamily("crdtsync_relay_peers", "Connections.", hub.peers)
        for name, text in _COUNTERS.items():
            value = getattr(hub.tally, name)
            yield CounterMetricFamily(f"crdtsync_relay_{name}", text, value)
        closed = CounterMetricFamily(
            "crdtsync_relay_closed", "Connections closed by the relay.", labels=["code"]
        )
        for code, number in sorted(hub.tally.closed.items()):
            closed.add_metric([str(int(code))], number)
        yield closed
