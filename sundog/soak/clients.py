"""Clients: each does one random operation after the other, and remembers what it was told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sundog.control.compute.records import Caller, Flavor, Server, ServerQuery
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
from sundog.soak.told import Outcome, Request, Told
from sundog.units import Seconds

REFUSALS: Final = (BackendFailed, Conflict, Forbidden, Invalid, NotFound, NotSupported, TooLarge)
"""What a client may be told. Anything else is a mistake of the control plane's."""

FLAVORS: Final = (
    Flavor("1", "small", vcpus=1, memory_mb=512, root_gb=1),
    Flavor("2", "large", vcpus=2, memory_mb=1024, root_gb=2),
    Flavor("3", "wide", vcpus=4, memory_mb=1024, root_gb=4),
)


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

    ``do`` returns the ids of the servers that it is about, or None for ``server`` alone.
    """

    server: str
    do: Callable[[Caller], Any]
    action: str | None = None


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
    ) -> None:
        self.name, self.plane, self.project, self.others = name, plane, project, others
        self.image_id = image_id
        self.dice, self.told = dice, told
        self.is_admin = is_admin
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
        self._count += 1
        request_id = f"req-{self.name}-{self._count}"
        caller = Caller(self.project.user, self.project.id, request_id, is_admin=self.is_admin)
        deed: Deed | None = None
        servers: tuple[str, ...] = ()
        took_steps = False
        try:
            deed = operation(self, life)
            if deed is None:
                return
            answer = deed.do(caller)
            took_steps = inspect.iscoroutine(answer)
            if took_steps:
                answer = await answer
            servers = tuple(answer) if isinstance(answer, list) else (deed.server,)
            outcome, word = Outcome.DONE, "done"
        except Crashed:
            outcome, word = Outcome.UNKNOWN, "no answer"
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
