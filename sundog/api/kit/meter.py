"""Counting requests: how many by service, method and status, and how long until their answers begin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sundog.runtime import clock

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_OTHER: Final = "other"
# Seconds. A request takes a millisecond or so; a step of the clock, or an upload, takes as long as it takes.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Meter:
    """Measures the requests of an application. ``registry`` is its own: nothing is shared with another one.

    ``prefixes`` are the paths of services by their names. What clients send becomes a label only where it is known
    beforehand, so that nobody can make more of them.
    """

    def __init__(self, prefixes: Iterable[tuple[str, str]]) -> None:
        self._prefixes = tuple(prefixes)
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sundog_api_requests",
            "Requests that were answered",
            ("service", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sundog_api_request_seconds",
            "Real seconds until an answer began",
            ("service", "method"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)  # memory, processor time, open files: as the process itself sees them

    def note(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        service = next((name for name, prefix in self._prefixes if _is_below(path, prefix)), _OTHER)
        method = method if method in _METHODS else _OTHER
        self._requests.labels(service, method, str(status)).inc()
        self._seconds.labels(service, method).observe(seconds)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


class Measured:
    """Tells a meter of every request. The seconds are the machine's, whatever the cloud's clock does."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self._app, self._meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = clock.monotonic()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                told: Any = scope
                self._meter.note(told["path"], told["method"], message["status"], clock.monotonic() - began)
            await send(message)

        await self._app(scope, receive, measured)
