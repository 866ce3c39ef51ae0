"""Having the cells of a sweep played: who gets which next, and a crew of processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from sundog.errors import SundogError
from sundog.scenarios.schema import Loaded
from sundog.scenarios.sweep.plan import Cell
from sundog.scenarios.sweep.play import Measure, Played, Player


class Crew(Protocol):
    """Players that work at the same time, by number."""

    size: int

    def give(self, player: int, loaded: Loaded) -> None:
        """Have an idle player play a scenario."""
        ...

    def finished(self) -> list[tuple[int, Played]]:
        """Wait until at least one player is done; who, and how it ended."""
        ...

    def close(self) -> None:
        """End all players, whatever they are doing."""
        ...


def conduct(cells: Iterable[Cell], crew: Crew) -> Generator[tuple[Cell, Played], None, None]:
    """Have every cell played, and give each as soon as it is done. The crew is closed at the end, however it comes.

    Cells with the same inputs go to one player as long as there are others for the rest. What a cell gives depends on
    the cell alone, so neither the number of players nor the order matters to the results.
    """
    waiting: dict[str, list[Cell]] = {}
    for cell in cells:
        waiting.setdefault(cell.inputs, []).append(cell)
    for group in waiting.values():
        group.reverse()  # taken from the end
    untouched = list(reversed(waiting))
    last: dict[int, str] = {}
    at_work: dict[int, Cell] = {}

    def take(player: int) -> Cell | None:
        inputs = last.get(player, "")
        if not waiting.get(inputs):
            if untouched:
                inputs = untouched.pop()
            elif waiting:
                inputs = max(waiting, key=lambda each: len(waiting[each]))
            else:
                return None
        last[player] = inputs
        group = waiting[inputs]
        cell = group.pop()
        if not group:
            del waiting[inputs]
        return cell

    def occupy(player: int) -> None:
        cell = take(player)
        if cell is not None:
            at_work[player] = cell
            crew.give(player, cell.loaded)

    try:
        for player in range(crew.size):
            occupy(player)
        while at_work:
            for player, played in crew.finished():
                # First to whoever writes it down: no more is ever lost than what is being played.
                yield at_work.pop(player), played
                occupy(player)
    finally:
        crew.close()


class Processes:
    """A crew of processes of this machine, each started afresh: none inherits what this one happens to hold.

    A process that dies (out of memory, say) fails the cell it had, and another takes its place.
    """

    def __init__(self, size: int, measure: Measure) -> None:
        self.size = size
        self._measure = measure
        self._context = multiprocessing.get_context("spawn")
        self._hired: dict[int, tuple[BaseProcess, Connection]] = {}

    def _hire(self) -> tuple[BaseProcess, Connection]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs, self._measure), daemon=True)
        with _interrupts_ignored():  # Ctrl-C goes to every process of a terminal, and is for this one to answer
            process.start()
        theirs.close()
        return process, ours

    def give(self, player: int, loaded: Loaded) -> None:
        """Have an idle player play a scenario; one that is not there yet, or died, is started."""
        if player not in self._hired:
            self._hired[player] = self._hire()
        with suppress(BrokenPipeError):  # it died while idle: ``finished`` tells
            self._hired[player][1].send(loaded)

    def finished(self) -> list[tuple[int, Played]]:
        """Wait until at least one player is done; who, and how it ended."""
        ready = wait([pipe for _, pipe in self._hired.values()])
        done = []
        for player, (process, pipe) in sorted(self._hired.items()):
            if pipe not in ready:
                continue
            try:
                done.append((player, pipe.recv()))
            except (EOFError, ConnectionResetError):
                process.join()
                del self._hired[player]
                done.append((player, Played(error=_died(process.exitcode), exit_code=SundogError.exit_code)))
        return done

    def close(self) -> None:
        """End all players, whatever they are doing."""
        for process, pipe in self._hired.values():
            pipe.close()
            process.kill()
        for process, _ in self._hired.values():
            process.join()
        self._hired.clear()


def _died(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        hint = "; it may have been out of memory: use fewer --jobs" if name == "SIGKILL" else ""
        return f"the process that played it was ended by {name}{hint}"
    return f"the process that played it ended by itself with exit code {code}"


def _work(pipe: Connection, measure: Measure) -> None:
    """What a process of the crew does until nobody talks to it any more."""
    player = Player(measure, where=f"process {os.getpid()}")
    with suppress(EOFError, OSError):
        while True:
            pipe.send(player.play(pipe.recv()))


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
