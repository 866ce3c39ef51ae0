"""The HTTP server, on whatever loop runs: in a virtual world its time is the world's, and its sockets are real."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import socket
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


MOST_BYTES_A_MESSAGE: Final = 2**16
"""Of a WebSocket: what is typed is short."""

_TOKEN: Final = re.compile(r"token=[^&;\s\"']+")


class NoTokens(logging.Filter):
    """Takes tokens in addresses out of what is logged: uvicorn tells the whole address of a WebSocket."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass everything, without tokens."""
        if isinstance(record.args, tuple):
            record.args = tuple(_TOKEN.sub("token=***", x) if isinstance(x, str) else x for x in record.args)
        return True


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
        ws_max_size=MOST_BYTES_A_MESSAGE,
        ws_ping_interval=None,  # by the cloud's clock it would mean nothing; the sockets are kept alive instead
        ws_per_message_deflate=False,
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
    log, secrets = logging.getLogger("uvicorn.error"), NoTokens()
    log.addFilter(secrets)
    try:
        serving = asyncio.ensure_future(_bound(server, listen))
        while not server.started and not serving.done():
            await asyncio.sleep(0)
        if server.started:
            for listening in (each for one in server.servers for each in one.sockets):
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # so have those that it accepts
            ready()
        await serving
    finally:
        log.removeFilter(secrets)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _bound(server: _Server, listen: Listen) -> None:
    try:
        await server.serve()
    except SystemExit as exc:  # uvicorn's way to say that it could not bind; it has logged why
        raise InputError(f"cannot listen on {listen.host} port {listen.port}: is it in use?", port=listen.port) from exc
