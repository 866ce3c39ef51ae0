"""Asking for ports of servers, their addresses and their security groups to be others."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from sundog.control.compute import ports
from sundog.control.compute.books import get_server
from sundog.control.compute.hosts import DEFAULT_ZONE
from sundog.control.compute.records import AskedNetwork, Caller, Server
from sundog.control.compute.requests import Requests, check_lock, check_state, host_down, not_ready
from sundog.control.compute.sagas.interface import port_of
from sundog.control.network.groups import ensure_default_group
from sundog.control.network.networks import get_network
from sundog.control.network.ports import get_port, update_port
from sundog.control.network.records import Port
from sundog.control.store import Tx
from sundog.control.viewer import EVERYTHING, Viewer
from sundog.core.lifecycle.servers import VmState
from sundog.errors import (
    BackendFailed,
    Conflict,
    HostDown,
    Invalid,
    NoSuchServer,
    NotFound,
    SundogError,
    Unavailable,
)


class Interfaces(Requests):
    """What servers have of the network, while they stand."""

    async def attach(self, caller: Caller, server_id: str, asked: AskedNetwork) -> Port:
        """Give a server a port: one that there is, one on a network, or with neither one on the project's own network.

        Returns when it is plugged. It is the server's in the same transaction in which it is made.
        Raises: NotFound, for the port or the network too; Conflict for a port or an address in use, a state that
        forbids it, or a host that does not answer; QuotaExceeded; Invalid; BackendFailed if the host cannot plug it.
        It is not the server's then.
        """
        made: list[str] = []

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            self._check_plugging(server)
            if not self._parts.hosts.answers(server.host):
                raise self._host_down(caller, server)
            made.append(self._take_port(tx, caller, server, asked))
            return {"port_id": made[0]}

        underway = self._begin(
            caller, server_id, "attach_interface", event="compute_attach_interface", prepare=prepare
        )  # fmt: skip
        await asyncio.wait([underway])  # not cancelled with a caller who hangs up
        if underway.cancelled():
            with self._parts.books.reading() as tx:
                server = get_server(tx, EVERYTHING, server_id, deleted=True)
            check_state(server, "attach_interface")
            raise Unavailable(f"The attachment of port {made[0]} goes on when the cloud is started again.")
        failure = underway.result()
        if failure is not None:
            raise self._not_attached(caller, server_id, made[0], failure) from failure
        with self._parts.books.reading() as tx:
            return get_port(tx, EVERYTHING, made[0])

    def _not_attached(self, caller: Caller, server_id: str, port_id: str, failure: SundogError) -> SundogError:
        """What the client is told. Only what the host itself failed at is an error of the cloud's."""
        with self._parts.books.reading() as tx:
            server = get_server(tx, EVERYTHING, server_id, deleted=True)
        if isinstance(failure, HostDown) or not self._parts.hosts.answers(server.host):
            return self._host_down(caller, server)
        if isinstance(failure, NoSuchServer):
            return not_ready(server)
        if isinstance(failure, NotFound):
            return failure
        return BackendFailed(
            f"Failed to attach network adapter device to {server_id}", server=server_id, port=port_id
        )  # fmt: skip

    def _host_down(self, caller: Caller, server: Server) -> Conflict:
        return host_down(caller, server, self._parts.hosts.by_uuid(server.host))

    async def detach(self, caller: Caller, server_id: str, port_id: str) -> None:
        """Begin to take a port from a server: one that was made for it is deleted, a client's own is free again.

        Raises: NotFound, for a port that is not the server's too; Conflict for a state that forbids it.
        """

        def prepare(tx: Tx, server: Server) -> dict[str, Any]:
            if port_of(tx, server, port_id) is None:
                raise NotFound(f"Port id {port_id} could not be found.", port=port_id)
            self._check_plugging(server)
            return {"port_id": port_id}

        self._begin(caller, server_id, "detach_interface", event="compute_detach_interface", prepare=prepare)

    def _check_plugging(self, server: Server) -> None:
        if server.vm_state != VmState.STOPPED and not self._parts.driver.capabilities.plug_running:
            raise Invalid(f"Attaching interfaces is not supported for instance {server.id}.", server=server.id)

    def _take_port(self, tx: Tx, caller: Caller, server: Server, asked: AskedNetwork) -> str:
        """Make a port the server's; returns its id."""
        if asked.port_id is not None:
            try:
                get_port(tx, caller.viewer, asked.port_id)
            except NotFound:
                raise NotFound(f"Port id {asked.port_id} could not be found.", port=asked.port_id) from None
        elif asked.network_id is not None:
            try:
                get_network(tx, caller.viewer, asked.network_id)
            except NotFound:
                raise NotFound(f"Network {asked.network_id} could not be found.", network=asked.network_id) from None
        one = self._resolved(tx, caller, server, asked)
        host = self._parts.hosts.show(server.host or "")
        before = {each.id for each in ports.ports_of(tx, [server.id])[server.id]}
        try:
            given = ports.make_ports(
                tx, self._parts.network, server, [one], (), host=host.name, zone=host.zone or DEFAULT_ZONE
            )
        except Invalid as error:
            if "address" in error.facts:
                raise Conflict(error.message, **error.facts) from error
            raise
        if given:
            kept = {**server.kept, ports.GIVEN: [*server.kept.get(ports.GIVEN, ()), *given]}
            self._parts.books.change(tx, server, kept=kept)
        return next(each.id for each in ports.ports_of(tx, [server.id])[server.id] if each.id not in before)

    def _resolved(self, tx: Tx, caller: Caller, server: Server, asked: AskedNetwork) -> AskedNetwork:
        """Exactly one port to be had. Raises: Invalid where none or several could be meant."""
        if asked.port_id is not None or asked.network_id is not None:
            return ports.resolve(tx, caller, [asked])[0]
        try:
            found = ports.resolve(tx, caller, None)
        except Conflict as error:
            raise Invalid(error.message) from error
        if not found:
            raise Invalid(
                f"No specific network was requested and none are available for project '{server.project_id}'.",
                project=server.project_id,
            )
        return replace(found[0], tag=asked.tag)

    # ---------------------------------------------------------------- security groups

    def add_security_group(self, caller: Caller, server_id: str, name: str) -> None:
        """Put all ports of a server into a security group of its project, by name or id. They may be in it already.

        Raises: NotFound, for the group too; Conflict for a name that several groups have; Invalid for a server without
        a port that could be in it.
        """
        with self._parts.books.writing() as tx:
            server, group = self._server_and_group(tx, caller, server_id, name)
            able = [each for each in _ports(tx, server) if each.port_security_enabled and each.fixed_ips]
            if not able:
                raise Invalid(
                    "Network requires port_security_enabled and subnet associated in order to apply security groups.",
                    server=server_id,
                )
            for port in able:
                self._set_groups(tx, port, [*port.security_groups, group])

    def remove_security_group(self, caller: Caller, server_id: str, name: str) -> None:
        """Take all ports of a server out of a security group.

        Raises: NotFound, for a group that none of them is in too; Conflict for a name that several groups have.
        """
        with self._parts.books.writing() as tx:
            server, group = self._server_and_group(tx, caller, server_id, name)
            members = [each for each in _ports(tx, server) if group in each.security_groups]
            if not members:
                raise NotFound(f"Security group {name} not associated with the instance {server_id}", group=name)
            for port in members:
                self._set_groups(tx, port, [each for each in port.security_groups if each != group])

    def _server_and_group(self, tx: Tx, caller: Caller, server_id: str, name: str) -> tuple[Server, str]:
        server = get_server(tx, caller.viewer, server_id)
        if name == "default":
            return server, ensure_default_group(tx, self._parts.network.books, server.project_id)
        try:
            return server, ports.group_ids(tx, server.project_id, [name])[0]
        except Invalid as error:
            raise NotFound(error.message, **error.facts) from None

    def _set_groups(self, tx: Tx, port: Port, groups: list[str]) -> None:
        update_port(
            tx, self._parts.network.books, EVERYTHING, port.id, {"security_groups": list(dict.fromkeys(groups))}
        )  # fmt: skip

    # ---------------------------------------------------------------- addresses, as they were given before 2.44

    def add_fixed_ip(self, caller: Caller, server_id: str, network_id: str) -> None:
        """Give a server one more address on a network that it has a port on.

        Raises: NotFound; Conflict for a locked server or a state that forbids it; Invalid for another network.
        """
        with self._parts.books.writing() as tx:
            server = self._changeable(tx, caller, server_id)
            port = next((each for each in _ports(tx, server) if each.network_id == network_id), None)
            if port is None or not port.fixed_ips:
                raise Invalid(f"Instance {server_id} has no port on network {network_id}.", network=network_id)
            more = {"subnet_id": port.fixed_ips[0].subnet_id}
            self._set_addresses(tx, port, [*(_same(each.ip_address) for each in port.fixed_ips), more])

    def remove_fixed_ip(self, caller: Caller, server_id: str, address: str) -> None:
        """Take an address from a server. Raises: as :meth:`add_fixed_ip`; Invalid for one that it has not."""
        with self._parts.books.writing() as tx:
            server = self._changeable(tx, caller, server_id)
            for port in _ports(tx, server):
                left = [each.ip_address for each in port.fixed_ips if each.ip_address != address]
                if len(left) < len(port.fixed_ips):
                    self._set_addresses(tx, port, [_same(each) for each in left])
                    return
            raise Invalid(f"Instance {server_id} has no fixed address {address}.", address=address)

    def _changeable(self, tx: Tx, caller: Caller, server_id: str) -> Server:
        server = get_server(tx, caller.viewer, server_id)
        check_lock(caller, server)
        check_state(server, "attach_interface")
        return server

    def _set_addresses(self, tx: Tx, port: Port, fixed_ips: list[dict[str, str]]) -> None:
        update_port(tx, self._parts.network.books, EVERYTHING, port.id, {"fixed_ips": fixed_ips})

    def add_floating_ip(self, caller: Caller, server_id: str, address: str, fixed: str | None = None) -> None:
        """Let a floating IP of the server's project lead to an address of the server, its first IPv4 one or ``fixed``.

        Raises: NotFound, for the floating IP too; Invalid for a server without such an address, or one out of reach.
        """
        with self._parts.books.reading() as tx:
            server = get_server(tx, caller.viewer, server_id)
            found = [
                (port.id, each.ip_address)
                for port in _ports(tx, server)
                for each in port.fixed_ips
                if ":" not in each.ip_address and fixed in (None, each.ip_address)
            ]
        if not found:
            raise Invalid("Specified fixed address not assigned to instance" if fixed else "No fixed IPs to associate.")
        port_id, ip_address = found[0]
        self._point(server, address, {"port_id": port_id, "fixed_ip_address": ip_address})

    def remove_floating_ip(self, caller: Caller, server_id: str, address: str) -> None:
        """Let a floating IP lead to a server no longer. Raises: NotFound; Conflict for one that does not lead there."""
        with self._parts.books.reading() as tx:
            server = get_server(tx, caller.viewer, server_id)
            mine = [each.id for each in _ports(tx, server)]
        if self._floating(server, address).port_id not in mine:
            raise Conflict(f"Floating IP {address} is not associated with instance {server_id}.", address=address)
        self._point(server, address, {"port_id": None})

    def _floating(self, server: Server, address: str) -> Any:
        floating = self._parts.network.floating_ips
        found = floating.list_all(Viewer(server.project_id), {"floating_ip_address": [address]})
        if not found:
            raise NotFound(f"Floating IP not found for address {address}.", address=address)
        return found[0]

    def _point(self, server: Server, address: str, changes: dict[str, Any]) -> None:
        floating = self._floating(server, address)
        self._parts.network.floating_ips.update(Viewer(server.project_id), floating.id, changes)


def _ports(tx: Any, server: Server) -> list[Port]:
    return ports.ports_of(tx, [server.id])[server.id]


def _same(address: str) -> dict[str, str]:
    return {"ip_address": address}
