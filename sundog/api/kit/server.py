"""The HTTP server, on whatever loop runs: in a virtual world its time is the world's, and its sockets are real."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn

from sundog.control.clock import Adjustable
from sundog.errors import InputError
from sundog.units import Seconds

KEEP_ALIVE: Final[Seconds] = 5.0
DRAIN: Final[Seconds] = 10.0
"""Real seconds that an idle connection is kept, and that requests under way may take when the server is to stop."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen; with ``certificate`` and ``key`` (PEM files) over TLS."""

    host: str = "127.0.0.1"
    port: int = 5000
    certificate: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        """The root address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{self.port}"


class _Server(uvicorn.Server):
    """uvicorn without ticks, which would be a storm at a high rate, and without signal handlers of its own."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopped = asyncio.Event()

    async def main_loop(self) -> None:
        await self._stopped.wait()

    def stop(self) -> None:
        self.should_exit = True
        self._stopped.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: Any, listen: Listen, *, ready: Callable[[], None], stopping: Callable[[], None] = lambda: None
) -> None:
    """Serve until SIGTERM or SIGINT, then let the requests under way come to their end.

    ``ready`` is called once it listens, ``stopping`` when it is told to stop, for answers that would never end.
    Raises: InputError if the address or a TLS file cannot be used.
    """
    loop = asyncio.get_running_loop()
    scale = max(1.0, loop.rate) if isinstance(loop, Adjustable) else 1.0
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=round(KEEP_ALIVE * scale),
        timeout_graceful_shutdown=round(DRAIN * scale),
    )
    try:
        config.load()
    except OSError as exc:
        raise InputError(f"the TLS files cannot be used: {exc}", path=listen.certificate) from exc
    server = _Server(config)

    def stop() -> None:
        if isinstance(loop, Adjustable) and loop.rate < 1.0:
            loop.set_rate(1.0)  # a paused clock would never see the requests to their end
        stopping()
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        serving = asyncio.ensure_future(_bound(server, listen))
        while not server.started and not serving.done():
            await asyncio.sleep(0)
        if server.started:
            ready()
        await serving
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _bound(server: _Server, listen: Listen) -> None:
    try:
        await server.serve()
    except SystemExit as exc:  # uvicorn's way to say that it could not bind; it has logged why
        raise InputError(f"cannot listen on {listen.host} port {listen.port}: is it in use?", port=listen.port) from exc
