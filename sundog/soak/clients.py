"""Clients: each does one random operation after the other, and remembers what it was told."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from sundog.control.compute.records import Caller, Flavor, Server, ServerQuery
from sundog.control.image.listing import Wanted
from sundog.control.image.records import Image
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle.servers import obstacle
from sundog.errors import (
    BackendFailed,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NotSupported,
    StoreUnavailable,
    SundogError,
    TooLarge,
    Unavailable,
)
from sundog.runtime import aio
from sundog.runtime.journal import Journal
from sundog.soak.dice import Dice
from sundog.soak.events import Asked
from sundog.soak.gates import Crashed
from sundog.soak.plane import Life, Plane
from sundog.soak.told import ANYTHING, Fact, Outcome, Request, Told
from sundog.units import Seconds

REFUSALS: Final = (BackendFailed, Conflict, Forbidden, Invalid, NotFound, NotSupported, TooLarge)
"""What a client may be told. Anything else is a mistake of the control plane's."""

FLAVORS: Final = (
    Flavor("1", "small", vcpus=1, memory_mb=512, root_gb=1),
    Flavor("2", "large", vcpus=2, memory_mb=1024, root_gb=2),
    Flavor("3", "wide", vcpus=4, memory_mb=1024, root_gb=4),
)


ATTEMPTS: Final = 3
"""How often a client asks at most for what it gets no answer to."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project and what it has from the beginning."""

    id: str
    user: str
    network: str
    public: str


@dataclass(frozen=True, slots=True)
class Deed:
    """Something to be asked: of which server (empty for none yet), and under which name it is written down, if it is.

    ``do`` returns the ids of the servers that it is about, or None for ``server`` alone. It may be done again, by
    another life of the control plane than the one in which it was thought of.
    """

    server: str
    do: Callable[[Caller, Life], Any]
    action: str | None = None


def deed_of(server: Server, do: Callable[[Caller, Life], Any], action: str | None = None) -> Deed:
    """Something about one server. What is begun is not waited for."""

    def begin(caller: Caller, life: Life) -> None:
        do(caller, life)

    return Deed(server.id, begin, action)


class Client:
    """One client of a project, or an administrator. Its operations are those of ``operations``."""

    def __init__(
        self,
        name: str,
        plane: Plane,
        project: Project,
        others: Sequence[Project],
        image_id: str,
        *,
        dice: Dice,
        told: Told,
        journal: Journal,
        is_admin: bool = False,
        loses: float = 0.0,
    ) -> None:
        self.name, self.plane, self.project, self.others = name, plane, project, others
        self.image_id = image_id
        self.dice, self.told = dice, told
        self.is_admin = is_admin
        self._loses = loses
        self._journal = journal
        self._count = 0

    async def work(
        self, operations: Mapping[str, Callable[[Client, Life], Deed | None]], weights: Mapping[str, float],
        pause: Seconds,
    ) -> None:  # fmt: skip
        """One operation after the other, for ever."""
        while True:
            await aio.sleep(self.dice.seconds(pause))
            name = self.dice.weighted(weights)
            life = self.plane.life
            if life is not None:
                await self._do(name, operations[name], life)

    async def _do(self, name: str, operation: Callable[[Client, Life], Deed | None], life: Life) -> None:
        """One operation, and again if there is no answer to it, or that is lost: so clients do."""
        deed, outcome = await self._ask(name, lambda: operation(self, life), life)
        for _ in range(1, ATTEMPTS):
            if deed is None or not self.dice.chance(0.5 if outcome is Outcome.UNKNOWN else self._loses):
                return
            await aio.sleep(self.dice.seconds(5.0))
            now = self.plane.life
            if now is None:
                return
            deed, outcome = await self._ask(f"{name} again", lambda found=deed: found, now)  # type: ignore[misc]

    async def _ask(self, name: str, think: Callable[[], Deed | None], life: Life) -> tuple[Deed | None, Outcome]:
        """Ask for what ``think`` comes to, once."""
        self._count += 1
        request_id = f"req-{self.name}-{self._count}"
        caller = Caller(self.project.user, self.project.id, request_id, is_admin=self.is_admin)
        deed: Deed | None = None
        servers: tuple[str, ...] = ()
        took_steps = False
        try:
            deed = think()
            if deed is None:
                return None, Outcome.REFUSED
            answer = deed.do(caller, life)
            took_steps = inspect.iscoroutine(answer)
            if took_steps:
                answer = await self._wait_for(answer)
            servers = tuple(answer) if isinstance(answer, list) else (deed.server,)
            outcome, word = Outcome.DONE, "done"
        except Crashed:
            outcome, word = Outcome.UNKNOWN, "no answer"
        except TimeoutError:
            outcome, word = Outcome.UNKNOWN, "hung up"
        except StoreUnavailable as error:
            outcome = Outcome.UNKNOWN if took_steps or error.committed is None else Outcome.REFUSED
            word = type(error).__name__
        except Unavailable as error:  # it goes on when the cloud is started again
            outcome, word = Outcome.UNKNOWN, type(error).__name__
        except REFUSALS as error:
            outcome, word = Outcome.REFUSED, type(error).__name__
        except (SundogError, AssertionError, LookupError, TypeError, ValueError, AttributeError) as error:
            outcome, word = Outcome.UNKNOWN, type(error).__name__
            self.told.violation(f"{name} of {deed.server if deed else 'nothing'}: {type(error).__name__}: {error}")
        self.told.count(f"{name}: {word}")
        self._journal.append(Asked(self.name, name, " ".join(servers) or (deed.server if deed else ""), word))
        if deed is not None and deed.action is not None:
            named = servers or ((deed.server,) if deed.server else ())
            self.told.requests.append(Request(request_id, deed.action, named, outcome))
        return deed, outcome

    async def _wait_for(self, answer: Awaitable[Any]) -> Any:
        """An answer that takes its time; now and then the client hangs up meanwhile. Raises: TimeoutError."""
        if not self.dice.chance(self._loses):
            return await answer
        async with aio.timeout(self.dice.seconds(5.0)):
            return await answer

    def writes(self, life: Life, fact: Fact, value: object, ask: Callable[[], object]) -> None:
        """Ask that something be ``value`` from now on. It is known then what it must be at the end, or may be."""
        values = self.told.facts.setdefault(fact, [ANYTHING])
        before = list(values)
        values.append(value)  # it may be, from now on
        try:
            ask()
        except Exception:
            if life.gate.is_alive:  # refused, for certain
                values[:] = before
            raise
        values[:] = [value]

    # ---------------------------------------------------------------- what operations choose from

    def servers(self, life: Life) -> list[Server]:
        """The servers that the client sees."""
        caller = Caller(self.project.user, self.project.id, is_admin=self.is_admin)
        return life.compute.servers.list_all(caller.viewer, ServerQuery(sort=(("id", False),)))

    def any_server(self, life: Life, name: str | None = None) -> Server | None:
        """One of them; mostly one whose state allows the transition ``name``."""
        found = self.servers(life)
        if name is not None and self.dice.chance(0.9):
            found = [each for each in found if obstacle(name, each.vm_state, each.task_state) is None]
        return self.dice.pick(found) if found else None

    def foreign_server(self, life: Life) -> Server | None:
        """A server of another project, by cheating."""
        mine = {each.id for each in self.servers(life)}
        every = life.compute.servers.list_all(EVERYTHING, ServerQuery(sort=(("id", False),)))
        found = [each for each in every if each.id not in mine]
        return self.dice.pick(found) if found else None

    def images(self, life: Life) -> list[Image]:
        """The images of the client's project, in the order of their ids."""
        who = Caller(self.project.user, self.project.id).principal
        mine = [each for each in life.image.list(who, Wanted()) if each.owner == self.project.id]
        return sorted(mine, key=lambda each: each.id)


Operation: TypeAlias = Callable[[Client, Life], Deed | None]
"""What a client makes up its mind to do; None if there is nothing to do it with."""
