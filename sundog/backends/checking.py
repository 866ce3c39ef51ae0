"""What the clauses of ``check_driver`` are played with: calls that are watched, servers to play with, and verdicts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NoReturn, Protocol

from sundog.backends.contract import (
    Capabilities,
    ComputeDriver,
    HostRecord,
    HostState,
    ImageReference,
    PortSpec,
    PowerState,
    ServerCopy,
    ServerKey,
    ServerSpec,
)
from sundog.errors import BackendFailed, ContractBroken, NotSupported, OutcomeUnknown
from sundog.runtime import aio, clock
from sundog.runtime.ids import Ids
from sundog.units import Seconds

GUIDE: Final = "see docs/explanation/drivers.md"

# How much later than its deadline an operation may return, in seconds.
GRACE: Final = 5.0

_FAMILIES: Final = (BackendFailed, NotSupported, OutcomeUnknown)


class Trouble(Protocol):
    """Provokes faults on a driver's hosts, for the clauses about them."""

    async def fail(self, host: str, operation: str) -> None:
        """The next such operation on the host fails."""
        ...

    async def hang(self, host: str, operation: str) -> None:
        """The next such operation on the host gets no answer."""
        ...

    async def lose_reply(self, host: str, operation: str) -> None:
        """The next such operation on the host happens, and its reply is lost."""
        ...

    async def cut_power(self, host: str) -> None:
        """The host dies."""
        ...

    async def switch_on(self, host: str) -> None:
        """The host comes back, in its own time."""
        ...


class Check:
    """One check: the driver, two hosts, and what was made so far. ``clause`` is the one that is being played."""

    def __init__(
        self,
        driver: ComputeDriver,
        image: ImageReference,
        ids: Ids,
        deadline: Seconds,
        patience: Seconds,
        memory_mib: int,
        trouble: Trouble | None,
    ) -> None:
        self.driver, self.image, self.ids = driver, image, ids
        self.deadline, self.patience, self.memory_mib = deadline, patience, memory_mib
        self.trouble = trouble
        self.clause = "capabilities"
        self.made: dict[str, None] = {}
        self.capabilities = Capabilities("", ())
        self.hosts: list[str] = []

    async def prepare(self) -> None:
        """Ask what the driver is and has, which every clause needs."""
        found = self.driver.capabilities
        if not isinstance(found, Capabilities) or not found.name or not found.disk_formats:
            self.broken(f"capabilities are {found!r}", "a Capabilities record with a name and at least one disk format")
        self.capabilities = found
        self.clause = "hosts"
        self.hosts = [host.uuid for host in await self.records() if host.state is HostState.UP]
        if not self.hosts:
            self.broken("no host is up", "at least one, for servers to be made on")

    def broken(self, seen: str, expected: str) -> NoReturn:
        """Say that the clause does not hold."""
        name = self.capabilities.name or type(self.driver).__name__
        raise ContractBroken(
            f"driver {name} breaks the clause {self.clause!r}: {seen}; expected {expected}; {GUIDE}",
            clause=self.clause, driver=name,
        )  # fmt: skip

    def expect(self, holds: bool, seen: str, expected: str) -> None:
        """Say that the clause does not hold, unless it does."""
        if not holds:
            self.broken(seen, expected)

    @property
    def a(self) -> str:
        """A host that is up."""
        return self.hosts[0]

    @property
    def b(self) -> str:
        """Another one."""
        return self.hosts[1]

    async def play(self, clause: Callable[[Check], Awaitable[None]]) -> None:
        """Play a clause, and remove what it made. An error of the driver that it does not expect breaks the clause."""
        try:
            await clause(self)
            await self.clean_up()
        except _FAMILIES as error:
            self.broken(f"{type(error).__name__}: {error}", "the operation to be done")

    # -- calls

    async def call(self, operation: str, *args: Any, deadline: Seconds | None = None, **options: Any) -> Any:
        """Ask the driver, and see to it that it answers in time, and fails as drivers do."""
        deadline = self.deadline if deadline is None else deadline
        begin = clock.now()
        try:
            async with aio.timeout(deadline + 2 * GRACE):
                return await getattr(self.driver, operation)(*args, deadline=deadline, **options)
        except _FAMILIES:
            raise
        except TimeoutError:
            self.broken(
                f"{operation} with a deadline of {deadline:g} s had not ended after {clock.now() - begin:g} s",
                "a result or an error by the deadline",
            )
        except Exception as error:
            raise ContractBroken(
                f"driver {self.capabilities.name} breaks the clause {self.clause!r}: {operation} raised "
                f"{type(error).__name__}: {error}; expected one of BackendFailed, HostDown, NoSuchServer, "
                f"NotSupported, OutcomeUnknown; {GUIDE}",
                clause=self.clause,
                driver=self.capabilities.name,
            ) from error

    async def raises(self, kind: type[Exception], operation: str, *args: Any, **options: Any) -> None:
        """Ask for what cannot be, and expect to hear so."""
        try:
            await self.call(operation, *args, **options)
        except kind:
            return
        except _FAMILIES as error:
            self.broken(f"{operation} raised {type(error).__name__}: {error}", f"{kind.__name__}")
        self.broken(f"{operation} ended well", f"{kind.__name__}")

    async def records(self) -> Sequence[HostRecord]:
        """The hosts as the driver tells them."""
        found: Sequence[HostRecord] = await self.call("hosts")
        return found

    async def state(self, host: str) -> HostState:
        """What the driver says of one host."""
        return next(record.state for record in await self.records() if record.uuid == host)

    async def wait_state(self, host: str, wanted: HostState) -> None:
        """Wait until the driver says that of a host."""
        end = clock.now() + self.patience
        while (found := await self.state(host)) is not wanted:
            if clock.now() > end:
                self.broken(f"host {host} is still {found} after {self.patience:g} s", f"{wanted}")
            await aio.sleep(1.0)

    async def copies(self, host: str, server: str) -> list[ServerCopy]:
        """What a host holds of one server, when nothing is under way there any more."""
        end = clock.now() + self.deadline
        while True:
            found = [copy for copy in await self.call("list_servers", host) if copy.uuid == server]
            if not any(copy.busy for copy in found):
                return found
            if clock.now() > end:
                self.broken(f"server {server} is still busy after {self.deadline:g} s", "an end to every operation")
            await aio.sleep(1.0)

    async def holds(self, host: str, *expected: tuple[ServerKey, PowerState], kept: Sequence[ServerKey] = ()) -> None:
        """A host has exactly these copies of the server of the first, and no other host has one but ``kept`` ones."""
        server = expected[0][0].uuid
        found = [(copy.key, copy.power_state) for copy in await self.copies(host, server)]
        shown = ", ".join(f"generation {key.generation} {power}" for key, power in expected)
        self.expect(
            found == list(expected),
            f"host {host} has {', '.join(f'generation {k.generation} {p}' for k, p in found) or 'no copy'}",
            shown,
        )
        for other in self.hosts:
            strays = [copy for copy in await self.copies(other, server) if other != host and copy.key not in kept]
            if strays:
                self.broken(f"host {other} has generation {strays[0].generation} as well", "one host only")

    async def nothing(self, server: str, *hosts: str) -> None:
        """Hosts have nothing of a server."""
        for host in hosts or self.hosts:
            found = await self.copies(host, server)
            self.expect(not found, f"host {host} has {found}", "nothing of the server to be left")

    # -- servers

    def spec(self, generation: int = 1, **facts: Any) -> ServerSpec:
        """A new server."""
        uuid = str(self.ids.uuid())
        self.made[uuid] = None
        ports = facts.pop("ports", ())
        return ServerSpec(
            uuid, generation, f"check-{uuid[:8]}", str(self.ids.uuid()), 1, self.memory_mib, root_gib=1,
            image=self.image, ports=ports, **facts,
        )  # fmt: skip

    def port(self) -> PortSpec:
        """A new port."""
        last = self.ids.hex(6)
        mac = f"fa:16:3e:{last[:2]}:{last[2:4]}:{last[4:]}"
        return PortSpec(str(self.ids.uuid()), str(self.ids.uuid()), mac, ("192.0.2.10",))

    async def spawned(self, host: str | None = None, **facts: Any) -> ServerSpec:
        """A new server that runs."""
        spec = self.spec(**facts)
        await self.call("spawn", host or self.a, spec)
        return spec

    async def clean_up(self) -> None:
        """Remove what was made. Raises: ContractBroken if something of it cannot be removed."""
        for host in self.hosts:
            for copy in await self.call("list_servers", host):
                if copy.uuid in self.made:
                    await self.call("destroy", host, copy.key)
        for server in self.made:
            await self.nothing(server)
        self.made.clear()
