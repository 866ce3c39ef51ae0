"""The life of a server, cell by cell: what a state allows happens, anything else is 409 and changes nothing.

A cell is what a server is, what is being done with it, and what is asked. All are made from the table of transitions.
Servers are brought into their vm states by the API; task states, and the two vm states that the API cannot bring about
or that do not last, are written into the books.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import httpx2 as httpx
import pytest

from sundog.api.compute import SERVICE
from sundog.backends.contract import HostState
from sundog.backends.playground import HostFault, Scope
from sundog.control.compute import Settings
from sundog.control.compute.books import get_server
from sundog.control.compute.records import Flavor, NewServer
from sundog.core.lifecycle.servers import TABLE, TRANSITIONS, TaskState, VmState, obstacle
from sundog.runtime import aio
from tests.computing import ADMIN, OWNER, compare
from tests.nova_states import nova_allows
from tests.unit.api.compute.servers_api import Api, Person, with_api

DIFFERENT: Final[Mapping[str, str]] = {
    "evacuate": "never while something is under way: here every action ends by its deadline, on a dead host too, and "
    "takes its task state with it; where Nova's would stay for ever",
}
"""Lines of the table that allow less than Nova does, and why."""

UNGUARDED: Final[Mapping[str, str]] = {
    "lock": "in any state, as in Nova",
    "unlock": "in any state, as in Nova",
    "os-resetState": "in any state; 409 only while something really is under way",
    "injectNetworkInfo": "does nothing",
    "resetNetwork": "gone",
    "os-getVNCConsole": "needs a host, not a state",
    "os-getSPICEConsole": "needs a host, not a state",
    "os-getSerialConsole": "needs a host, not a state",
    "os-getConsoleOutput": "needs a host, not a state",
    "POST /remote-consoles": "needs a host, not a state",
    "DELETE /os-server-password": "there never is one",
    "addSecurityGroup": "about ports, which have no state of this kind",
    "removeSecurityGroup": "about ports, which have no state of this kind",
    "addFloatingIp": "about ports, which have no state of this kind",
    "removeFloatingIp": "about ports, which have no state of this kind",
    "addFixedIp": "allowed where attach_interface is, and nothing comes of it but an address",
    "removeFixedIp": "allowed where attach_interface is, and nothing comes of it but an address",
    "PUT ": "names and descriptions change in any state, as in Nova",
}
"""What may be asked of servers without a line in the table, and why."""


@dataclass(frozen=True)
class Deed:
    """A request for a line of the table: where, with which body, and what is answered where it is allowed."""

    line: str
    where: str
    body: Any
    status: int
    v: str = "2.1"

    @property
    def operation(self) -> str:
        """The name of its operation: an action on the server, or a method and a path below it."""
        return self.where if " " not in self.where else self.where.replace("KEY", "{key}").replace(
            "TAG", "{tag}").replace("PORT", "{port_id}").replace("MOVE", "{number}")  # fmt: skip


LIVE: Final = {"host": None, "block_migration": "auto"}

DEEDS: Final = (
    Deed("start", "os-start", None, 202),
    Deed("stop", "os-stop", None, 202),
    Deed("reboot", "reboot", {"type": "SOFT"}, 202),
    Deed("reboot_hard", "reboot", {"type": "HARD"}, 202),
    Deed("pause", "pause", None, 202),
    Deed("unpause", "unpause", None, 202),
    Deed("suspend", "suspend", None, 202),
    Deed("resume", "resume", None, 202),
    Deed("rescue", "rescue", None, 200),
    Deed("unrescue", "unrescue", None, 202),
    Deed("set_admin_password", "changePassword", {"adminPass": "canary"}, 202),
    Deed("trigger_crash_dump", "trigger_crash_dump", None, 400, "2.17"),
    Deed("rebuild", "rebuild", {"imageRef": "IMAGE"}, 202),
    Deed("resize", "resize", {"flavorRef": "2"}, 202),
    Deed("migrate", "migrate", None, 202),
    Deed("confirm_resize", "confirmResize", None, 204),
    Deed("revert_resize", "revertResize", None, 202),
    Deed("live_migrate", "os-migrateLive", LIVE, 202, "2.68"),
    Deed("abort_live_migration", "DELETE /migrations/MOVE", None, 202, "2.24"),
    Deed("force_complete", "POST /migrations/MOVE/action", {"force_complete": None}, 202, "2.22"),
    Deed("evacuate", "evacuate", {}, 200, "2.14"),
    Deed("shelve", "shelve", None, 202),
    Deed("shelve_offload", "shelveOffload", None, 202),
    Deed("unshelve", "unshelve", None, 202),
    Deed("snapshot", "createImage", {"name": "snap"}, 202),
    Deed("backup", "createBackup", {"name": "back", "backup_type": "daily", "rotation": 1}, 202),
    Deed("attach_interface", "POST /os-interface", None, 200),
    Deed("detach_interface", "DELETE /os-interface/PORT", None, 202),
    Deed("update_metadata", "POST /metadata", {"metadata": {"a": "b"}}, 200),
    Deed("update_metadata", "PUT /metadata", {"metadata": {"k": "w"}}, 200),
    Deed("update_metadata", "PUT /metadata/KEY", {"meta": {"k": "w"}}, 200),
    Deed("delete_metadata", "DELETE /metadata/KEY", None, 204),
    Deed("update_tags", "PUT /tags", {"tags": ["more"]}, 200, "2.26"),
    Deed("delete_tags", "DELETE /tags", None, 204, "2.26"),
    Deed("update_tag", "PUT /tags/new", None, 201, "2.26"),
    Deed("delete_tag", "DELETE /tags/TAG", None, 204, "2.26"),
    Deed("delete", "DELETE ", None, 204),
    Deed("force_delete", "forceDelete", None, 202),
    Deed("restore", "restore", None, 202),
)

ADMINS: Final = ("migrate", "live_migrate", "abort_live_migration", "force_complete", "evacuate", "shelve_offload")

NEVER: Final = "restore"
"""Nothing is softly deleted here, so nothing is brought back: the state is checked, and that is all."""

OTHER: Final = TaskState.POWERING_OFF
"""A task state that no line of the table names: it stands for all of these."""


def tasks_for(deed: Deed) -> tuple[TaskState | None, ...]:
    """The task states that make a difference to a request: none, those that its line names, and any other."""
    return tuple(dict.fromkeys((None, *TRANSITIONS[deed.line].tasks, OTHER)))


ONE_SHELF: Final = Settings(shelved_offload_time=-1)


# ---------------------------------------------------------------- nothing is forgotten


def test_every_line_of_the_table_is_asked_for_and_nothing_else_is_asked_of_servers():
    assert {each.line for each in DEEDS} == set(TRANSITIONS)
    asked = {
        each.action
        if each.action and each.path.endswith("{server_id}/action")
        else f"{each.method} {each.path.partition('{server_id}')[2]}"
        for each in SERVICE.operations
        if "{server_id}" in each.path and each.method != "GET"
    }
    ours = {each.operation.replace("/tags/new", "/tags/{tag}") for each in DEEDS}
    assert not ours & set(UNGUARDED)
    assert asked == ours | set(UNGUARDED)


def test_no_line_of_the_table_names_the_task_state_that_stands_for_all_others():
    assert OTHER not in {task for each in TABLE for task in each.tasks}


@pytest.mark.parametrize("line", TRANSITIONS)
def test_the_table_allows_what_nova_allows(line: str):
    allowed = nova_allows(line)
    for vm_state in VmState:
        for task in (None, *TaskState):
            nova = (allowed.vm_states is None or vm_state in allowed.vm_states) and (
                allowed.task_states is None or task in allowed.task_states
            )
            ours = obstacle(line, vm_state, task) is None
            if line in DIFFERENT:
                assert nova or not ours, (vm_state, task)
            else:
                assert ours == nova, (vm_state, task)


# ---------------------------------------------------------------- every cell


async def nothing(api: Api, server: str) -> None:
    return


def acting(*actions: str, **values: Any) -> Callable[[Api, str], Awaitable[None]]:
    """Actions one after the other, each to its end."""

    async def act(api: Api, server: str) -> None:
        for action in actions:
            answer = await api.admin.act(server, action, values.get(action.replace("-", "_")))
            assert answer.is_success, (action, answer.text)
            await api.small.idle()

    return act


def written(vm_state: VmState) -> Callable[[Api, str], Awaitable[None]]:
    """A state that is only written down."""

    async def write(api: Api, server: str) -> None:
        put(api, server, vm_state=vm_state)

    return write


WAYS: Final[Mapping[VmState, Callable[[Api, str], Awaitable[None]]]] = {
    VmState.ACTIVE: nothing,
    VmState.BUILDING: written(VmState.BUILDING),
    VmState.PAUSED: acting("pause"),
    VmState.SUSPENDED: acting("suspend"),
    VmState.STOPPED: acting("os-stop"),
    VmState.RESCUED: acting("rescue"),
    VmState.RESIZED: acting("migrate"),
    VmState.SOFT_DELETED: written(VmState.SOFT_DELETED),
    VmState.ERROR: acting("os-resetState", os_resetState={"state": "error"}),
    VmState.SHELVED: acting("shelve"),
    VmState.SHELVED_OFFLOADED: acting("shelve", "shelveOffload"),
}


def put(api: Api, server: str, **values: Any) -> None:
    """Write states into the books."""
    with api.small.store.begin() as tx:
        api.small.compute.books.change(tx, get_server(tx, ADMIN.viewer, server), **values)


async def brought(api: Api, vm_state: VmState, task: TaskState | None) -> str:
    """A server in these states; its id."""
    server = await api.boot(metadata={"k": "v"})
    assert (await api.alice.put(f"/servers/{server}/tags", {"tags": ["t"]}, v="2.26")).status_code == 200
    await WAYS[vm_state](api, server)
    if task is not None:
        put(api, server, task_state=task)
    shown = api.small.show(server)
    assert (shown.vm_state, shown.task_state) == (vm_state, task)
    return server


async def ask(api: Api, deed: Deed, server: str) -> httpx.Response:
    """The answer to a request."""
    who: Person = api.admin if deed.line in ADMINS else api.alice
    body = {"imageRef": api.small.image_id} if deed.line == "rebuild" else deed.body
    if " " not in deed.where:
        return await who.act(server, deed.where, body, v=deed.v)
    method, path = deed.where.split(" ")
    moves = api.small.compute.migrations.list_all()
    for name, value in (("KEY", "k"), ("TAG", "t"), ("MOVE", str(moves[0].number if moves else 1))):
        path = path.replace(name, value)
    if "PORT" in path:
        path = path.replace("PORT", api.small.compute.servers.ports(api.small.show(server))[0].id)
    return await who(method, f"/servers/{server}{path}", json=body, v=deed.v)


def state_of(api: Api, server: str) -> Any:
    """Everything that is known of a server, and what was asked of it."""
    shown = api.small.show(server)
    return shown, api.small.compute.servers.ports(shown), api.small.compute.actions.list_all(server)


def refusal(deed: Deed, server: str, found: str) -> dict[str, Any]:
    word = TRANSITIONS[deed.line].word or deed.line
    message = f"Cannot '{word}' instance {server} while it is in {found}"
    return {"conflictingRequest": {"code": 409, "message": message}}


@pytest.mark.slow
@pytest.mark.parametrize("vm_state", WAYS)
def test_what_a_state_forbids_is_409_and_changes_nothing(vm_state: VmState):
    async def main(api: Api) -> None:
        server, tried = await brought(api, vm_state, None), 0
        for task in (None, *TaskState):
            put(api, server, task_state=task)
            before = state_of(api, server)
            for deed in DEEDS:
                found = obstacle(deed.line, vm_state, task)
                if found is None or task not in tasks_for(deed):
                    continue
                answer = await ask(api, deed, server)
                assert answer.status_code == 409, (task, deed, answer.text)
                if before[0].host is None and deed.line in ("start", "stop", "trigger_crash_dump"):
                    assert answer.json()["conflictingRequest"]["message"] == f"Instance {server} is not ready"
                else:
                    assert answer.json() == refusal(deed, server, found), (task, deed)
                assert state_of(api, server) == before, (task, deed)
                tried += 1
        assert tried > 20

    with_api(main, settings=ONE_SHELF)


@pytest.mark.slow
@pytest.mark.parametrize("vm_state", WAYS)
def test_what_a_state_allows_happens_and_ends_as_the_table_says(vm_state: VmState):
    async def main(api: Api) -> None:
        for deed in DEEDS:
            for task in tasks_for(deed):
                if obstacle(deed.line, vm_state, task) is None and not moving(deed):
                    server = await brought(api, vm_state, task)
                    await happens(api, deed, server, vm_state, task)
                    await cleared(api, server)

    with_api(main, settings=ONE_SHELF)


def moving(deed: Deed) -> bool:
    """Whether it is about a live migration that really is under way."""
    return TRANSITIONS[deed.line].tasks == (TaskState.MIGRATING,)


async def happens(api: Api, deed: Deed, server: str, vm_state: VmState, task: TaskState | None) -> None:
    """It is accepted, written down, and ends as the table says."""
    line, cell = TRANSITIONS[deed.line], (vm_state, task, deed)
    if deed.line == "evacuate":
        api.small.compute.hosts.noticed(api.small.show(server).host or "", HostState.DOWN)
    answer = await ask(api, deed, server)
    assert answer.status_code == deed.status, (cell, answer.text)
    if deed.line == NEVER:
        return
    await api.small.idle()
    shown = api.small.show(server, deleted=True)
    assert shown.vm_state == line.ends(vm_state), cell
    assert shown.task_state == (task if line.task is None else None), cell
    if line.action and answer.is_success:
        assert api.small.compute.actions.list_all(server)[0].action == line.action, cell


async def cleared(api: Api, server: str) -> None:
    """The server is gone, and every host is up again."""
    if api.small.show(server, deleted=True).deleted_at is None:
        api.small.compute.servers.delete(OWNER, server)
        await api.small.idle()
    if not all(each.is_up for each in api.small.compute.hosts.list_all()):
        api.small.driver.faults.strike(HostFault.REVIVE, Scope())
        await aio.sleep(300.0)
    await compare(api.small)
    assert api.small.copies() == {}


def test_of_a_deleted_server_nothing_can_be_asked():
    async def main(api: Api) -> None:
        server = await brought(api, VmState.ACTIVE, None)
        port = api.small.compute.servers.ports(api.small.show(server))[0].id
        assert (await api.alice.delete(f"/servers/{server}")).status_code == 204
        await api.small.idle()
        for deed in DEEDS:
            gone = replace(deed, where=deed.where.replace("PORT", port))
            assert (await ask(api, gone, server)).status_code == 404, deed

    with_api(main)


# ---------------------------------------------------------------- what no written state can stand for


@pytest.mark.parametrize("vm_state", [VmState.ACTIVE, VmState.PAUSED])
def test_a_live_migration_that_is_under_way_can_be_broken_off(vm_state: VmState):
    async def main(api: Api) -> None:
        for deed in (each for each in DEEDS if moving(each)):
            server = await brought(api, vm_state, None)
            home = api.small.show(server).host
            assert (await api.admin.act(server, "os-migrateLive", LIVE, v="2.68")).status_code == 202
            await aio.sleep(0.1)  # it copies now, which is needed to be forced
            if obstacle(deed.line, vm_state, TaskState.MIGRATING) is None:
                answer = await ask(api, deed, server)
                assert answer.status_code == deed.status
                assert "while it is in" not in answer.text  # no driver can force one, but its state allows it
            else:
                assert (await ask(api, deed, server)).json() == refusal(deed, server, f"vm_state {vm_state}")
            await api.small.idle()
            shown = api.small.show(server)
            assert (shown.vm_state, shown.task_state) == (vm_state, None)
            assert (shown.host == home) == (deed.line == "abort_live_migration")
            await cleared(api, server)

    with_api(main)


def test_a_server_that_is_being_built_can_only_be_deleted():
    async def main(api: Api) -> None:
        made = await api.alice.post("/servers", api.wish(metadata={"k": "v"}))
        server = made.json()["server"]["id"]
        assert api.small.show(server).vm_state == VmState.BUILDING
        for deed in DEEDS:
            found = obstacle(deed.line, VmState.BUILDING, api.small.show(server).task_state)
            if found is not None and "PORT" not in deed.where and "/tags/TAG" not in deed.where:
                assert (await ask(api, deed, server)).json() == refusal(deed, server, found), deed
        assert (await api.alice.delete(f"/servers/{server}")).status_code == 204
        await api.small.idle()
        assert (await api.alice.get(f"/servers/{server}")).status_code == 404

    with_api(main)


def test_a_server_that_never_was_on_a_host_can_only_be_deleted():
    """Nova looks at ``launched_at``, and for some actions at the host first."""

    async def main(api: Api) -> None:
        huge = NewServer("huge", Flavor("h", "huge", vcpus=16, memory_mb=512, root_gb=1), api.small.image_id)
        [made] = api.small.compute.servers.create(OWNER, huge)
        await api.small.idle()
        shown = api.small.show(made)
        assert (shown.vm_state, shown.task_state, shown.host) == (VmState.ERROR, None, None)
        before = state_of(api, made.id)
        for deed in DEEDS:
            if VmState.ERROR not in TRANSITIONS[deed.line].before or deed.line in ("delete", "force_delete"):
                continue
            answer = await ask(api, deed, made.id)
            assert answer.status_code == 409, deed
            word = TRANSITIONS[deed.line].word or deed.line
            assert answer.json()["conflictingRequest"]["message"] == (
                f"Instance {made.id} is not ready" if deed.line in ("stop", "trigger_crash_dump")
                else f"Cannot '{word}' instance {made.id} while it is in task_state None" if moving(deed)
                else f"Instance {made.id} is in an invalid state for '{word}'"
            )  # fmt: skip
            assert state_of(api, made.id) == before
        assert (await api.alice.act(made.id, "forceDelete")).status_code == 202
        await api.small.idle()
        await aio.sleep(1.0)
        assert api.small.show(made, deleted=True).deleted_at is not None

    with_api(main)
