"""Requests that are sent again as their answer was lost, with the same request id: no damage, and OpenStack's status.

OpenStack does not tell a repetition from another request: it is the thing's name, its id or its state that refuses the
second one. What has none of these is there twice then, each whole and counted by the quotas; a client who may have to
ask again names a port, for one, that can be only one server's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from sundog import app
from sundog.control.audit import audit
from sundog.runtime import aio, warp
from tests.unit.api.rbac.world import PUBLIC_KEY
from tests.unit.api.whole import Whole

pytestmark = pytest.mark.slow

SAME = {"x-openstack-request-id": "req-11111111-2222-3333-4444-555555555555"}
NEWEST = {"/compute": "compute 2.90", "/placement": "placement 1.39"}
PROVIDER, CONSUMER = "7260669a-e3d4-4867-aaa7-683e2ab6958c", "d3b0c7a2-6d3a-4a5c-9a0e-0d5a0f0c1b2a"
IMAGE = "00000000-0000-4000-8000-00000000e511"
PATCH = {"content-type": "application/openstack-images-v2.1-json-patch"}
DATA = {"content-type": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked twice, and what is answered; ``soon`` if the first is still under way when the second comes.

    ``{name}`` in a path or a body is the id of that thing, which :class:`Cloud` makes. ``there`` is a path, the name of
    its list and how many more there are in the end than there were.
    """

    request: str
    first: int
    again: int
    body: Any = None
    soon: int | None = None
    there: tuple[str, str, int] | None = None
    after: tuple[str, ...] = ()
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Cloud:
    """A whole cloud and the things in it that requests are about, each made when it is first named."""

    def __init__(self, here: Whole, token: str) -> None:
        self._here, self._token = here, token
        self.cloud = here.cloud
        self.ids: dict[str, str] = {"provider": PROVIDER, "consumer": CONSUMER}

    async def ask(self, method: str, path: str, body: Any = None, *, content: Any = None, **headers: str) -> Any:
        version = next((value for prefix, value in NEWEST.items() if path.startswith(prefix)), "")
        told = {"x-auth-token": self._token, "openstack-api-version": version} | headers
        options = {"content": content} if content is not None else {} if body is None else {"json": body}
        return await self._here.send(method, path, headers=told, **options)

    async def done(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        answer = await self.ask(method, path, body, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        await self.cloud.compute.worker.idle()

    async def filled(self, value: Any) -> Any:
        """A path or a body with the ids of the things that it names."""
        if isinstance(value, dict):
            return {await self.filled(name): await self.filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [await self.filled(each) for each in value]
        if not isinstance(value, str):
            return value
        while "{" in value:
            name = value[value.index("{") + 1 : value.index("}")]
            value = value.replace(f"{{{name}}}", await self.id_of(name))
        return value

    async def id_of(self, name: str) -> str:
        if name not in self.ids:
            self.ids[name] = await self._made(name)
        return self.ids[name]

    async def _made(self, name: str) -> str:
        if name == "own":
            return self.cloud.identity.authenticate(self._token).project_id or ""
        if name == "me":
            return self.cloud.identity.authenticate(self._token).user_id
        if name == "public":
            found = await self.done("GET", "/network/v2.0/networks?router:external=true")
            return str(found["networks"][0]["id"])
        if name in ("image", "queued", "staged"):
            return await self._image(name)
        path, body = THINGS[name]
        told = await self.done("POST", path, await self.filled(body))
        (made,) = told.values()
        await self.rest()
        return str(made["id"] if "id" in made else made["name"])

    async def _image(self, name: str) -> str:
        raw = {"name": "i", "disk_format": "raw", "container_format": "bare", "visibility": "shared"}
        made: str = (await self.done("POST", "/image/v2/images", raw))["id"]
        if name != "queued":
            where = {"image": "file", "staged": "stage"}[name]
            await self.done("PUT", f"/image/v2/images/{made}/{where}", content=b"x" * 512, **DATA)
        return made


THINGS: dict[str, tuple[str, Any]] = {
    "user": ("/identity/v3/users", {"user": {"name": "u"}}),
    "group": ("/identity/v3/groups", {"group": {"name": "g"}}),
    "project": ("/identity/v3/projects", {"project": {"name": "p"}}),
    "role": ("/identity/v3/roles", {"role": {"name": "r"}}),
    "other role": ("/identity/v3/roles", {"role": {"name": "s"}}),
    "service": ("/identity/v3/services", {"service": {"type": "x"}}),
    "region": ("/identity/v3/regions", {"region": {"id": "near"}}),
    "network": ("/network/v2.0/networks", {"network": {"name": "n"}}),
    "subnet": (
        "/network/v2.0/subnets", {"subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.5.0.0/24"}},
    ),
    "port": ("/network/v2.0/ports", {"port": {"network_id": "{network}"}}),
    "router": ("/network/v2.0/routers", {"router": {"external_gateway_info": {"network_id": "{public}"}}}),
    "floating": ("/network/v2.0/floatingips", {"floatingip": {"floating_network_id": "{public}"}}),
    "security group": ("/network/v2.0/security-groups", {"security_group": {"name": "g"}}),
    "rule": (
        "/network/v2.0/security-group-rules",
        {"security_group_rule": {"security_group_id": "{security group}", "direction": "ingress", "protocol": "tcp"}},
    ),
    "server": (
        "/compute/v2.1/servers",
        {
            "server": {
                "name": "s", "flavorRef": "1", "imageRef": "{image}", "networks": [{"uuid": "{network}"}],
                "metadata": {"with": "{subnet}"},
            }
        },
    ),
    "keypair": ("/compute/v2.1/os-keypairs", {"keypair": {"name": "k", "public_key": PUBLIC_KEY}}),
    "server group": ("/compute/v2.1/os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}}),
    "aggregate": ("/compute/v2.1/os-aggregates", {"aggregate": {"name": "a"}}),
}  # fmt: skip
"""How things are made, by the names by which cases call them."""

N, C, K, G, P = "/network/v2.0", "/compute/v2.1", "/identity/v3", "/image/v2", "/placement"
_SERVER = {"name": "s", "flavorRef": "1", "imageRef": "{image}", "networks": [{"uuid": "{network}"}],
           "metadata": {"with": "{subnet}"}}  # fmt: skip
_INVENTORIES = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}}}
_ALLOCATION = {
    "allocations": {PROVIDER: {"resources": {"VCPU": 1}}}, "project_id": "{own}", "user_id": "{me}",
    "consumer_generation": None, "consumer_type": "INSTANCE",
}  # fmt: skip
_MAKE_PROVIDER = f"POST {P}/resource_providers"
_SET_INVENTORIES = f"PUT {P}/resource_providers/{PROVIDER}/inventories"
_BODIES: dict[str, Any] = {
    _MAKE_PROVIDER: {"name": "p", "uuid": PROVIDER},
    _SET_INVENTORIES: _INVENTORIES,
    f"PUT {P}/allocations/{CONSUMER}": _ALLOCATION,
    f"PUT {N}/routers/{{router}}/add_router_interface": {"subnet_id": "{subnet}"},
    f"POST {C}/os-aggregates/{{aggregate}}/action": {"add_host": {"host": "compute-0"}},
}
"""What is said in requests that come before."""


def act(action: str, value: Any = None) -> dict[str, Any]:
    return {"request": f"POST {C}/servers/{{server}}/action", "body": {action: value}}


TOLD_APART = [
    # ---- identity
    Case(f"POST {K}/users", 201, 409, {"user": {"name": "u"}}, there=(f"{K}/users", "users", 1)),
    Case(f"POST {K}/groups", 201, 409, {"group": {"name": "g"}}, there=(f"{K}/groups", "groups", 1)),
    Case(f"POST {K}/projects", 201, 409, {"project": {"name": "p"}}, there=(f"{K}/projects", "projects", 1)),
    Case(f"POST {K}/roles", 201, 409, {"role": {"name": "r"}}, there=(f"{K}/roles", "roles", 1)),
    Case(f"POST {K}/regions", 201, 409, {"region": {"id": "near"}}, there=(f"{K}/regions", "regions", 1)),
    Case(f"POST {K}/users/{{me}}/application_credentials", 201, 409, {"application_credential": {"name": "c"}}),
    Case(f"PUT {K}/projects/{{project}}/users/{{user}}/roles/{{role}}", 204, 204),
    Case(f"DELETE {K}/projects/{{project}}/users/{{user}}/roles/{{role}}", 204, 404,
         after=(f"PUT {K}/projects/{{project}}/users/{{user}}/roles/{{role}}",)),
    Case(f"PUT {K}/groups/{{group}}/users/{{user}}", 204, 204),
    Case(f"DELETE {K}/groups/{{group}}/users/{{user}}", 204, 404, after=(f"PUT {K}/groups/{{group}}/users/{{user}}",)),
    Case(f"PUT {K}/roles/{{role}}/implies/{{other role}}", 201, 201),
    Case(f"PUT {K}/projects/{{project}}/tags/t", 201, 201),
    Case(f"DELETE {K}/projects/{{project}}/tags/t", 204, 404, after=(f"PUT {K}/projects/{{project}}/tags/t",)),
    Case(f"DELETE {K}/users/{{user}}", 204, 404),
    Case(f"DELETE {K}/groups/{{group}}", 204, 404),
    Case(f"DELETE {K}/projects/{{project}}", 204, 404),
    Case(f"DELETE {K}/roles/{{role}}", 204, 404),
    Case(f"DELETE {K}/services/{{service}}", 204, 404),
    Case(f"DELETE {K}/regions/{{region}}", 204, 404),
    # ---- image
    Case(f"POST {G}/images", 201, 409, {"id": IMAGE}, there=(f"{G}/images", "images", 1)),
    Case(f"PUT {G}/images/{{queued}}/file", 204, 409, content=b"x" * 512, headers=DATA),
    Case(f"PUT {G}/images/{{queued}}/stage", 204, 409, content=b"x" * 512, headers=DATA),
    Case(f"POST {G}/images/{{staged}}/import", 202, 409, {"method": {"name": "glance-direct"}}),
    Case(f"PATCH {G}/images/{{image}}", 200, 200, [{"op": "replace", "path": "/name", "value": "new"}], headers=PATCH),
    Case(f"POST {G}/images/{{image}}/members", 200, 409, {"member": "{project}"},
         there=(f"{G}/images/{{image}}/members", "members", 1)),
    Case(f"PUT {G}/images/{{image}}/tags/t", 204, 204),
    Case(f"DELETE {G}/images/{{image}}/tags/t", 204, 404, after=(f"PUT {G}/images/{{image}}/tags/t",)),
    Case(f"POST {G}/images/{{image}}/actions/deactivate", 204, 204),
    Case(f"POST {G}/images/{{image}}/actions/reactivate", 204, 204,
         after=(f"POST {G}/images/{{image}}/actions/deactivate",)),
    Case(f"DELETE {G}/images/{{image}}", 204, 404),
    # ---- network
    Case(f"POST {N}/subnets", 201, 400,
         {"subnet": {"network_id": "{network}", "ip_version": 4, "cidr": "10.6.0.0/24"}},
         there=(f"{N}/subnets", "subnets", 1)),
    Case(f"POST {N}/ports", 201, 409,
         {"port": {"network_id": "{network}", "fixed_ips": [{"subnet_id": "{subnet}", "ip_address": "10.5.0.9"}]}},
         there=(f"{N}/ports?network_id={{network}}&fixed_ips=ip_address=10.5.0.9", "ports", 1)),
    Case(f"POST {N}/security-group-rules", 201, 409, THINGS["rule"][1],
         there=(f"{N}/security-group-rules", "security_group_rules", 1)),
    Case(f"PUT {N}/routers/{{router}}/add_router_interface", 200, 400, {"subnet_id": "{subnet}"},
         there=(f"{N}/ports?device_owner=network:router_interface", "ports", 1)),
    Case(f"PUT {N}/routers/{{router}}/remove_router_interface", 200, 404, {"subnet_id": "{subnet}"},
         after=(f"PUT {N}/routers/{{router}}/add_router_interface",)),
    Case(f"PUT {N}/floatingips/{{floating}}", 200, 200, {"floatingip": {"port_id": "{port}"}},
         after=(f"PUT {N}/routers/{{router}}/add_router_interface",)),
    Case(f"PUT {N}/networks/{{network}}/tags/t", 201, 201),
    Case(f"DELETE {N}/networks/{{network}}/tags/t", 204, 404, after=(f"PUT {N}/networks/{{network}}/tags/t",)),
    Case(f"PUT {N}/quotas/{{project}}", 200, 200, {"quota": {"port": 5}}),
    Case(f"DELETE {N}/networks/{{network}}", 204, 404),
    Case(f"DELETE {N}/subnets/{{subnet}}", 204, 404),
    Case(f"DELETE {N}/ports/{{port}}", 204, 404),
    Case(f"DELETE {N}/routers/{{router}}", 204, 404),
    Case(f"DELETE {N}/floatingips/{{floating}}", 204, 404),
    Case(f"DELETE {N}/security-groups/{{security group}}", 204, 404),
    Case(f"DELETE {N}/security-group-rules/{{rule}}", 204, 404),
    # ---- placement
    Case(_MAKE_PROVIDER, 200, 409, {"name": "p", "uuid": PROVIDER},
         there=(f"{P}/resource_providers", "resource_providers", 1)),
    Case(_SET_INVENTORIES, 200, 409, _INVENTORIES, after=(_MAKE_PROVIDER,)),
    Case(f"PUT {P}/resource_providers/{PROVIDER}/aggregates", 200, 409,
         {"resource_provider_generation": 0, "aggregates": [IMAGE]}, after=(_MAKE_PROVIDER,)),
    Case(f"PUT {P}/allocations/{CONSUMER}", 204, 409, _ALLOCATION, after=(_MAKE_PROVIDER, _SET_INVENTORIES)),
    Case(f"DELETE {P}/allocations/{CONSUMER}", 204, 404,
         after=(_MAKE_PROVIDER, _SET_INVENTORIES, f"PUT {P}/allocations/{CONSUMER}")),
    Case(f"PUT {P}/traits/CUSTOM_X", 201, 204),
    Case(f"DELETE {P}/traits/CUSTOM_X", 204, 404, after=(f"PUT {P}/traits/CUSTOM_X",)),
    Case(f"PUT {P}/resource_classes/CUSTOM_X", 201, 204),
    Case(f"DELETE {P}/resource_classes/CUSTOM_X", 204, 404, after=(f"PUT {P}/resource_classes/CUSTOM_X",)),
    Case(f"DELETE {P}/resource_providers/{PROVIDER}", 204, 404, after=(_MAKE_PROVIDER,)),
    # ---- compute
    Case(f"POST {C}/servers", 202, 409, {"server": _SERVER | {"networks": [{"port": "{port}"}]}}, soon=409,
         there=(f"{C}/servers", "servers", 1)),
    Case(f"DELETE {C}/servers/{{server}}", 204, 404, soon=204, there=(f"{C}/servers", "servers", -1)),
    Case(**act("os-stop"), first=202, again=409, soon=409),
    Case(**act("os-start"), first=202, again=409, soon=409, after=("os-stop",)),
    Case(**act("pause"), first=202, again=409, soon=409),
    Case(**act("unpause"), first=202, again=409, soon=409, after=("pause",)),
    Case(**act("suspend"), first=202, again=409, soon=409),
    Case(**act("resume"), first=202, again=409, soon=409, after=("suspend",)),
    Case(**act("shelve"), first=202, again=409, soon=409),
    Case(**act("unshelve"), first=202, again=409, soon=409, after=("shelve",)),
    Case(**act("rescue"), first=200, again=409, soon=409),
    Case(**act("unrescue"), first=202, again=409, soon=409, after=("rescue",)),
    Case(**act("reboot", {"type": "SOFT"}), first=202, again=202, soon=409),
    Case(**act("resize", {"flavorRef": "2"}), first=202, again=409, soon=409),
    Case(**act("migrate"), first=202, again=409, soon=409),
    Case(**act("confirmResize"), first=204, again=409, soon=409, after=("migrate",)),
    Case(**act("revertResize"), first=202, again=409, soon=409, after=("migrate",)),
    Case(**act("lock"), first=202, again=202),
    Case(**act("unlock"), first=202, again=202),
    Case(**act("addSecurityGroup", {"name": "default"}), first=202, again=202),
    Case(**act("removeSecurityGroup", {"name": "default"}), first=202, again=404),
    Case(f"POST {C}/servers/{{server}}/os-interface", 200, 409, {"interfaceAttachment": {"port_id": "{port}"}},
         there=(f"{C}/servers/{{server}}/os-interface", "interfaceAttachments", 1)),
    Case(f"DELETE {C}/servers/{{server}}/os-interface/{{port}}", 202, 404, soon=202,
         after=(f"POST {C}/servers/{{server}}/os-interface",),
         there=(f"{C}/servers/{{server}}/os-interface", "interfaceAttachments", -1)),
    Case(f"PUT {C}/servers/{{server}}/tags/t", 201, 204),
    Case(f"DELETE {C}/servers/{{server}}/tags/t", 204, 404, after=(f"PUT {C}/servers/{{server}}/tags/t",)),
    Case(f"POST {C}/servers/{{server}}/metadata", 200, 200, {"metadata": {"k": "v"}}),
    Case(f"POST {C}/os-keypairs", 201, 409, THINGS["keypair"][1], there=(f"{C}/os-keypairs", "keypairs", 1)),
    Case(f"DELETE {C}/os-keypairs/{{keypair}}", 204, 404),
    Case(f"DELETE {C}/os-server-groups/{{server group}}", 204, 404),
    Case(f"POST {C}/os-aggregates", 200, 409, {"aggregate": {"name": "a"}},
         there=(f"{C}/os-aggregates", "aggregates", 1)),
    Case(f"POST {C}/os-aggregates/{{aggregate}}/action", 200, 409, {"add_host": {"host": "compute-0"}}),
    Case(f"DELETE {C}/os-aggregates/{{aggregate}}", 200, 404),
    Case(f"POST {C}/flavors", 200, 409,
         {"flavor": {"id": "mine", "name": "mine", "ram": 64, "vcpus": 1, "disk": 1}},
         there=(f"{C}/flavors", "flavors", 1)),
    # ---- our own
    Case("POST /sundog/v1/fleet/drain", 200, 200, {"drain": {"scope": {"host": "compute-0"}}}),
    Case("POST /sundog/v1/faults", 201, 201, {"fault": {"kind": "kill", "scope": {"host": "compute-0"}}}),
]  # fmt: skip
"""Requests whose repetition does nothing more."""

NOT_TOLD_APART = [
    Case(f"POST {C}/servers", 202, 202, {"server": _SERVER}, soon=202, there=(f"{C}/servers", "servers", 2)),
    Case(f"POST {G}/images", 201, 201, {"name": "i"}, there=(f"{G}/images", "images", 2)),
    Case(f"POST {N}/networks", 201, 201, {"network": {"name": "n"}}, there=(f"{N}/networks", "networks", 2)),
    Case(f"POST {N}/ports", 201, 201, {"port": {"network_id": "{network}"}}, there=(f"{N}/ports", "ports", 2)),
    Case(f"POST {N}/routers", 201, 201, {"router": {"name": "r"}}, there=(f"{N}/routers", "routers", 2)),
    Case(f"POST {N}/security-groups", 201, 201, {"security_group": {"name": "g"}},
         there=(f"{N}/security-groups", "security_groups", 2)),
    Case(f"POST {N}/floatingips", 201, 201, {"floatingip": {"floating_network_id": "{public}"}},
         there=(f"{N}/floatingips", "floatingips", 2)),
    Case(f"POST {C}/os-server-groups", 200, 200, THINGS["server group"][1],
         there=(f"{C}/os-server-groups", "server_groups", 2)),
]  # fmt: skip
"""Requests for things that nothing tells apart in OpenStack either."""


def named(case: Case) -> str:
    action = f" {next(iter(case.body))}" if case.request.endswith("/servers/{server}/action") else ""
    return f"{case.request}{action} {case.again}"


async def asked(cloud: Cloud, case: Case) -> Any:
    method, path = case.request.split(" ", 1)
    body = await cloud.filled(case.body)
    return await cloud.ask(method, await cloud.filled(path), body, content=case.content, **SAME, **case.headers)


async def prepared(cloud: Cloud, case: Case) -> None:
    """Do what comes before: other requests, by what they are or by their actions."""
    for each in case.after:
        if " " not in each:
            path = await cloud.filled(f"{C}/servers/{{server}}/action")
            await cloud.done("POST", path, {each: None})
        else:
            method, path = each.split(" ", 1)
            said = _BODIES.get(each)
            if path.endswith("/os-interface"):
                said = {"interfaceAttachment": {"port_id": "{port}"}}
            await cloud.done(method, await cloud.filled(path), await cloud.filled(said))
        await cloud.rest()


async def many(cloud: Cloud, case: Case) -> int:
    if case.there is None:
        return 0
    path, name, _ = case.there
    return len((await cloud.done("GET", await cloud.filled(path)))[name])


def play(folder: Any, main: Callable[[Cloud], Awaitable[None]]) -> None:
    """``main`` in a whole cloud of its own."""

    async def inside(world: warp.World) -> None:
        here = Whole(world, folder)
        token = await here.token("admin", "canary-password")
        project = here.cloud.identity.authenticate(token).project_id or ""
        app.bootstrap_network(here.cloud.network, project)
        app.bootstrap_compute(here.cloud.compute)
        await here.cloud.compute.start()
        try:
            await main(Cloud(here, token))
        finally:
            await here.cloud.compute.stop()

    warp.run(inside, horizon=10_000_000)


async def twice(cloud: Cloud, case: Case, *, soon: bool) -> None:
    await prepared(cloud, case)
    await cloud.filled([case.request, case.body, case.there and case.there[0]])
    before = await many(cloud, case)
    first = await asked(cloud, case)
    if not soon:
        await cloud.rest()
    second = await asked(cloud, case)
    again = case.soon if soon else case.again
    assert (first.status_code, second.status_code) == (case.first, again), (first.text, second.text)
    assert {first.headers["x-openstack-request-id"], second.headers["x-openstack-request-id"]}.isdisjoint(SAME.values())
    await cloud.rest()
    await aio.sleep(120.0)
    if case.there is not None:
        assert await many(cloud, case) - before == case.there[2]
    found = [each.message for each in await audit(cloud.cloud) if "compute-0" not in each.message]
    assert [each for each in found if PROVIDER not in each and CONSUMER not in each] == []


@pytest.mark.parametrize("case", TOLD_APART, ids=named)
def test_a_repeated_request_does_nothing_more(tmp_path: Any, case: Case) -> None:
    play(tmp_path, partial(twice, case=case, soon=False))


@pytest.mark.parametrize("case", [each for each in TOLD_APART if each.soon is not None], ids=named)
def test_nor_does_one_that_comes_while_the_first_is_under_way(tmp_path: Any, case: Case) -> None:
    play(tmp_path, partial(twice, case=case, soon=True))


@pytest.mark.parametrize("soon", [False, True])
@pytest.mark.parametrize("case", NOT_TOLD_APART, ids=named)
def test_what_openstack_does_not_tell_apart_is_there_twice_and_whole(tmp_path: Any, case: Case, soon: bool) -> None:
    play(tmp_path, partial(twice, case=Case(case.request, case.first, case.again, case.body, case.again, case.there),
                           soon=soon))  # fmt: skip
