"""Keeping the books and the hosts in agreement: at the start, when a host comes back, on events, and now and then."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from sundog.backends.contract import EventKind, EventStream, HostState, LifecycleEvent, ServerCopy, ServerKey
from sundog.control.compute import ports
from sundog.control.compute.books import get_server, servers_on
from sundog.control.compute.migrations import EVACUATION, open_ones_of
from sundog.control.compute.records import Server
from sundog.control.compute.sagas.common import COPIES, POWER
from sundog.control.compute.work import Parts, Worker
from sundog.control.store import Reader
from sundog.control.viewer import EVERYTHING
from sundog.core.lifecycle import reconcile as rules
from sundog.core.lifecycle.servers import Power, VmState
from sundog.errors import BackendFailed, NotFound, OutcomeUnknown, SundogError
from sundog.runtime import aio, clock
from sundog.units import Seconds

_LOG: Final = logging.getLogger("sundog.compute")
_RETRY: Final[Seconds] = 5.0


class Reconciler:
    """Compares what hosts hold with the books, and does what ``core.lifecycle.reconcile`` says."""

    def __init__(self, parts: Parts, worker: Worker) -> None:
        self._parts, self._worker = parts, worker
        self._waiting: dict[str, None] = {}
        self._woken = aio.Event()

    def wake(self, hosts: Sequence[str]) -> None:
        """Let these hosts be looked at soon."""
        self._waiting |= dict.fromkeys(hosts)
        if hosts:
            self._woken.set()

    async def follow(self, events: EventStream) -> None:
        """Follow what happens on hosts, for as long as there are events."""
        async for event in events:
            self._heard(event)

    def _heard(self, event: LifecycleEvent) -> None:
        hosts = self._parts.hosts
        if event.kind is EventKind.HOST_DOWN:
            hosts.noticed(event.host, HostState.DOWN)
        elif event.kind is EventKind.HOST_UP:
            hosts.noticed(event.host, HostState.UP)
            self._parts.network.wires.forget()
            self.wake([event.host])
        elif event.kind is EventKind.LOST:
            self._parts.network.wires.forget()
            self.wake([event.host] if event.host else [host.uuid for host in hosts.list_all()])
        elif event.server is not None and self._worker.busy_until(event.server.uuid) < event.time:
            self.wake([event.host])  # nobody asked for it

    async def serve(self) -> None:
        """Look at the hosts that wait for it, one after the other, for ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                host = next(iter(self._waiting))
                del self._waiting[host]
                await self._try(host)

    async def sweep(self) -> None:
        """Look at which hosts there are, often, and at every one of them, seldom; for ever."""
        settings = self._parts.settings
        since = 0.0
        while True:
            await aio.sleep(settings.host_interval)
            since += settings.host_interval
            try:
                self.wake(await self._parts.hosts.look())
            except SundogError as error:
                _LOG.warning("the hosts could not be asked for: %s", error)
            if since >= settings.sync_interval:
                since = 0.0
                self.wake(self._parts.hosts.answering())

    async def _try(self, host: str) -> None:
        if not self._parts.hosts.answers(host):
            return  # it will be looked at when it is back
        try:
            await self.look_at(host)
        except (BackendFailed, OutcomeUnknown) as error:
            _LOG.info("host %s could not be compared with the books: %s", host, error)
            if self._parts.hosts.answers(host):
                await aio.sleep(_RETRY)
                self.wake([host])
        except SundogError as error:
            _LOG.warning("host %s could not be compared with the books: %s", host, error)

    async def look_at(self, host: str) -> list[rules.Step]:
        """Make the books and a host agree; what that took.

        Raises: BackendFailed, OutcomeUnknown.
        """
        begun = clock.now()
        steps = await self.differences(host)
        for step in steps:
            await self._take(host, step, begun)
        return steps

    async def differences(self, host: str) -> list[rules.Step]:
        """What would make the books and a host agree. Changes nothing. Raises: BackendFailed, OutcomeUnknown."""
        begun = clock.now()
        copies = await self._parts.driver.list_servers(host, deadline=self._parts.settings.quick)
        if not copies and self._parts.placement.is_unused(host):
            return []
        with self._parts.books.reading() as tx:
            known, allowed = expected_on(tx, host)
            mine = ports.port_ids_on(tx, host)
        states = {
            (server.id, server.generation): rules.Known(
                VmState(server.vm_state),
                Power(server.power_state),
                self._is_settled(server, begun),
                tuple(mine.get(server.id, ())),
            )
            for server in known
        }
        return rules.reconcile(states, allowed, {(each.uuid, each.generation): _held(each) for each in copies})

    def _is_settled(self, server: Server, since: Seconds) -> bool:
        """Whether nothing is under way on a server, nor was since its host was asked: what that said may be old."""
        return server.task_state is None and self._worker.busy_until(server.id) <= since

    async def _take(self, host: str, step: rules.Step, since: Seconds) -> None:
        parts, key = self._parts, ServerKey(*step.copy)
        deadline = parts.settings.quick
        if isinstance(step, rules.Remove):
            with parts.books.reading() as tx:
                known, allowed = expected_on(tx, host)
            if step.copy in [(each.id, each.generation) for each in known] or step.copy in allowed:
                return
            if await self._is_the_only_one(host, key):
                _LOG.warning("host %s holds server %s, which should be elsewhere and is not; it is left", host, key)
            else:
                _LOG.warning("host %s holds a copy of server %s that should not be there; it is removed", host, key)
                await parts.driver.destroy(host, key, deadline=deadline)
        elif isinstance(step, rules.PowerOff):
            if self._still(step.copy, since) is not None:
                await parts.driver.power_off(host, key, deadline=deadline, grace=parts.settings.grace)
        elif isinstance(step, rules.Release):
            if self._still(step.copy, since) is not None:
                await parts.driver.resize_revert(host, key, deadline=deadline, start=False)
                self.wake([host])  # it can be compared now
        elif isinstance(step, rules.Plug | rules.Unplug):
            await self._replug(host, step, since)
        else:
            self._write(step, since)

    async def _is_the_only_one(self, host: str, key: ServerKey) -> bool:
        """Whether a copy is the server itself, as far as anybody knows: it is not stale, and not where it should be.

        Somebody moved it by hand. Its server is in ERROR, and nobody's data are lost before its owner decides.
        """
        with self._parts.books.reading() as tx:
            try:
                server = get_server(tx, EVERYTHING, key.uuid)
            except NotFound:
                return False
        if server.generation != key.generation or server.host in (None, host):
            return False
        try:
            there = await self._parts.driver.list_servers(server.host, deadline=self._parts.settings.quick)
        except (BackendFailed, OutcomeUnknown):
            return True
        return key not in [each.key for each in there]

    async def _replug(self, host: str, step: rules.Plug | rules.Unplug, since: Seconds) -> None:
        """Let a copy have a port, or not, as its server has it or not."""
        driver, key, deadline = self._parts.driver, ServerKey(*step.copy), self._parts.settings.quick
        server = self._still(step.copy, since)
        if server is None:
            return
        with self._parts.books.reading() as tx:
            spec = ports.port_spec(tx, server.id, step.port)
        if spec is not None and isinstance(step, rules.Plug):
            await self._parts.network.wires.settle()
            await driver.plug(host, key, spec, deadline=deadline)
        elif spec is None and isinstance(step, rules.Unplug):
            await driver.unplug(host, key, step.port, deadline=deadline)

    def _still(self, copy: rules.Copy, since: Seconds) -> Server | None:
        """The server, if it is still the one that was looked at, and nothing was done to it since."""
        with self._parts.books.reading() as tx:
            try:
                server = get_server(tx, EVERYTHING, copy[0])
            except NotFound:
                return None
        return server if server.generation == copy[1] and self._is_settled(server, since) else None

    def _write(self, step: rules.Become | rules.Missing, since: Seconds) -> None:
        server = self._still(step.copy, since)
        if server is None:
            return
        with self._parts.books.writing() as tx:
            if isinstance(step, rules.Become):
                self._parts.books.change(tx, server, vm_state=step.vm_state, power_state=step.power)
            else:
                fault = self._parts.books.fault("The server is not on its host any more.", f"host {server.host}")
                self._parts.books.change(tx, server, vm_state=VmState.ERROR, power_state=Power.NOSTATE, fault=fault)


def expected_on(reader: Reader, host: str) -> tuple[list[Server], list[rules.Copy]]:
    """The servers that should be on a host, and the copies that moves may have left or made there.

    What an evacuation left behind is neither: the host is taken for dead, and its server is made anew elsewhere.
    """
    known = servers_on(reader, host)
    allowed = [(server.id, generation) for server in known for generation in server.kept.get(COPIES, ())]
    for move in open_ones_of(reader, host):
        if move.source == host and move.type != EVACUATION:
            allowed.append((move.server_id, move.source_generation))
        if move.target == host:
            allowed.append((move.server_id, move.target_generation))
    return known, allowed


def _held(copy: ServerCopy) -> rules.Held:
    return rules.Held(POWER[copy.power_state], copy.kept, copy.busy, copy.ports)
