"""Connections to a host, each of which one thread at a time uses.

libvirt lets threads share a connection, but before 10.4 the process may die of it when a connection breaks off below
two of them (CVE-2024-4418), which is what becomes of one to a host that hangs. It also frees one that is closed below a
call. And a daemon works on five requests of one connection at a time, by default.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from sundog.backends.libvirt.native import Connection
from sundog.backends.libvirt.threads import NotStarted

T = TypeVar("T")


class NotOpened(Exception):
    """A connection could not be made; why, in libvirt's words."""


class Lane:
    """A connection, ``make``-d when it is first used if there is none. Who comes while another uses it is refused.

    All but ``give_up`` and ``is_usable`` is to be called in threads.
    """

    def __init__(
        self, make: Callable[[], Connection], end: Callable[[Connection], None], connection: Connection = None
    ) -> None:
        self._make, self._end, self._connection = make, end, connection
        self._guard = threading.Lock()
        self._busy = self._given_up = False

    def use(self, fn: Callable[[Connection], T]) -> T:
        """What ``fn`` makes of the connection. Raises: NotStarted; NotOpened."""

        def opened() -> T:
            if self._connection is None:
                self._connection = self._make()
            return fn(self._connection)

        return self.hold(opened)

    def hold(self, fn: Callable[[], T]) -> T:
        """What ``fn`` returns, to which the connection is left alone, open or not. Raises: NotStarted."""
        with self._guard:
            if self._given_up:
                raise NotStarted("its connection was given up")
            if self._busy:
                raise NotStarted("the call before it has no answer yet")
            self._busy = True
        try:
            return fn()
        finally:
            if self._leave():
                self.close()

    def _leave(self) -> bool:
        """The user goes; whether it was given up meanwhile."""
        with self._guard:
            self._busy = False
            return self._given_up

    def is_usable(self) -> bool:
        """Whether somebody may use it now, and it has not broken off."""
        with self._guard:
            if self._busy or self._given_up:
                return False
            return self._connection is None or bool(self._connection.isAlive())

    def give_up(self) -> bool:
        """Nobody is to use it any more. Whether the caller has to have it closed: otherwise who uses it does, after."""
        with self._guard:
            mine = not self._given_up and not self._busy
            self._given_up = True
        return mine

    def close(self) -> None:
        """End the connection, once it was given up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._end(connection)
