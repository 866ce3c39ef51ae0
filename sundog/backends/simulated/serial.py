"""The serial console of a simulated guest: what it wrote so far, and then what it answers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sundog.backends.contract import ConsoleStream
from sundog.backends.simulated.terminal import Terminal
from sundog.errors import BackendFailed
from sundog.runtime import aio, clock
from sundog.units import Seconds

# Bytes that may wait to be read; who types while nobody reads waits.
_ROOM: Final = 2**16
# Bytes of the past that are shown at first.
_PAST: Final = 2**14
_POLL: Final[Seconds] = 1.0


class SerialLine:
    """A console that is open: a ``ConsoleStream``.

    ``log`` is all that the guest has written up to an instant, which grows until it has booted at ``booted``; from then
    on it answers what is typed. Nothing goes over the line while ``is_heard`` is False: the guest stands still, or its
    host is out of reach.
    """

    def __init__(self, name: str, log: Callable[[Seconds], str], booted: Seconds, is_heard: Callable[[], bool]) -> None:
        self._name, self._log, self._booted, self._is_heard = name, log, booted, is_heard
        self._terminal = Terminal(name)
        self._waiting = bytearray()
        self._shown = 0
        self._complete = False  # all of the log was shown
        self._ended = False
        self._changed = aio.Event()
        self._look()
        del self._waiting[:-_PAST]

    def end(self) -> None:
        """End it. What was written before can still be read."""
        self._ended = True
        self._changed.set()

    async def read(self) -> bytes:
        """What the guest wrote."""
        while True:
            self._look()
            if self._waiting or self._ended:
                data = bytes(self._waiting)
                self._waiting.clear()
                self._changed.set()
                return data
            self._changed.clear()
            with suppress(TimeoutError):
                async with aio.timeout(None if self._complete else max(_POLL, self._booted - clock.now())):
                    await self._changed.wait()

    async def write(self, data: bytes) -> None:
        """Type. A guest that still boots, or stands still, takes no notice."""
        while len(self._waiting) >= _ROOM and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if self._ended:
            raise BackendFailed(f"the serial console of {self._name} has ended; open it again")
        self._look()
        if self._complete and self._is_heard():
            self._waiting += self._terminal.type(data, clock.now() - self._booted)
            self._changed.set()

    async def close(self) -> None:
        """End it."""
        self.end()

    def _look(self) -> None:
        """Take what the guest wrote by itself meanwhile."""
        if self._complete or self._ended or not self._is_heard():
            return
        now = clock.now()  # asked once: what is shown and whether it is all must be of one instant
        log = self._log(now)
        self._waiting += log[self._shown :].replace("\n", "\r\n").encode()
        self._shown = len(log)
        self._complete = now >= self._booted


if TYPE_CHECKING:

    def _is_a_console(line: SerialLine) -> ConsoleStream:
        return line
