"""A cloud of all services with personas and, for every kind of thing, one that belongs to project A.

Whatever is asked of it is undone: its store takes no write once the personas ask, as a disk that is full does not. So
one world serves all of the matrix, and an allowed write ends in 503 after policy, validation and all reads.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2 as httpx

from sundog import app
from sundog.control.cloud import Cloud
from sundog.control.identity import Settings, bootstrap
from sundog.control.principal import Principal
from sundog.control.store import Store, Tx
from sundog.control.store.engines import make_engine
from sundog.errors import StoreUnavailable
from sundog.runtime import clock, warp
from tests.unit.api.rbac.personas import PERSONAS

T = TypeVar("T")
CHEAP = Settings(argon2_memory_kib=8, argon2_passes=1)
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPNhtU1bHXzwHdTrEKp7+lKNUNM0uNcMQnqAnxyEVIHv nobody@nowhere"
LATER = clock.EPOCH + timedelta(minutes=5)
"""When the personas ask. The token that is out of date was made two hours before."""


class FullDisk(Store):
    """A store in memory that commits nothing any more once ``is_full``, and says so."""

    is_full = False

    @contextmanager
    def begin(self) -> Iterator[Tx]:
        with super().begin() as tx:
            yield tx
            if self.is_full:
                raise StoreUnavailable("the disk is full")


class World:
    """``tokens`` by persona, with ``expired`` and ``revoked``; ``ids`` of things of A by the names in requests.py."""

    def __init__(self, folder: Path) -> None:
        self.store = FullDisk(make_engine(":memory:", lock_timeout=5.0))
        self.cloud: Cloud = app.make_cloud(self.store, folder, 1, CHEAP)
        self.app = app.make_app(self.cloud, 1)
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, str] = {}
        self.roles: dict[str, str] = {}
        at(clock.EPOCH - timedelta(hours=2), self._begin)
        at(clock.EPOCH, self._make)
        self.store.is_full = True

    def close(self) -> None:
        self.store.close()

    def principals(self) -> dict[str, Principal]:
        async def told() -> dict[str, Principal]:
            return {name: self.cloud.identity.authenticate(self.tokens[name]) for name in PERSONAS}

        return at(LATER, told)

    @contextmanager
    def client(self) -> Iterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app)
        yield httpx.AsyncClient(transport=transport, base_url="http://cloud.test")

    async def send(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """The answer to a request."""
        headers = options.pop("headers", {}) | ({} if token is None else {"x-auth-token": token})
        with self.client() as client:
            return await client.request(method, path, headers=headers, **options)

    # ---- how it is made

    async def _begin(self) -> None:
        made = bootstrap(self.cloud.identity, "canary-admin", address="http://cloud.test", catalogue=app.CATALOGUE)
        self.ids["admin project"], self.roles = made.project_id, made.role_ids
        app.bootstrap_network(self.cloud.network, made.project_id)
        app.bootstrap_compute(self.cloud.compute)
        self.tokens["expired"] = await self._log_in("admin", {"project": {"id": made.project_id}})

    async def _make(self) -> None:
        self.tokens["admin"] = await self._log_in("admin", {"project": {"id": self.ids["admin project"]}})
        await self._people()
        await self._of_identity()
        await self._of_image()
        await self._of_network()
        await self._of_placement()
        await self._of_compute()

    async def _people(self) -> None:
        ids = self.ids
        ids["default"] = "default"
        for name in ("acme", "globex"):
            ids[name] = await self._new("identity/v3/domains", "domain", name=name)
        for name, domain in (("A", "acme"), ("B", "globex"), ("service", "default")):
            ids[name] = await self._new("identity/v3/projects", "project", name=name, domain_id=ids[domain], tags=["t"])
        await self._persona("reader", "reader", "acme", {"project": {"id": ids["A"]}})
        await self._persona("member", "member", "acme", {"project": {"id": ids["A"]}})
        await self._persona("manager", "manager", "acme", {"project": {"id": ids["A"]}})
        await self._persona("stranger", "manager", "globex", {"project": {"id": ids["B"]}})
        await self._persona("service", "service", "acme", {"project": {"id": ids["service"]}})
        for role in ("reader", "manager", "admin"):
            await self._persona(f"domain_{role}", role, "acme", {"domain": {"id": ids["acme"]}})
        await self._persona("other_domain", "manager", "globex", {"domain": {"id": ids["globex"]}})
        for role in ("reader", "admin"):
            await self._persona(f"system_{role}", role, "acme", {"system": {"all": True}})
        await self._persona("unscoped", "reader", "globex", {})
        self.tokens["revoked"] = await self._log_in("admin", {"project": {"id": ids["admin project"]}})
        headers = {"x-subject-token": self.tokens["revoked"]}
        answer = await self.send("DELETE", "/identity/v3/auth/tokens", self.tokens["revoked"], headers=headers)
        assert answer.status_code == 204

    async def _persona(self, name: str, role: str, domain: str, scope: dict[str, Any]) -> None:
        user = {"name": name, "domain_id": self.ids[domain], "password": f"canary-{name}"}
        self.ids[f"user {name}"] = await self._new("identity/v3/users", "user", **user)
        for kind, named in scope.items():
            on = "system" if kind == "system" else f"{kind}s/{named['id']}"
            path = f"/identity/v3/{on}/users/{self.ids[f'user {name}']}/roles/{self.roles[role]}"
            answer = await self.send("PUT", path, self.tokens["admin"])
            assert answer.status_code == 204, answer.text
        self.tokens[name] = await self._log_in(name, scope, self.ids[domain])

    async def _log_in(self, name: str, scope: dict[str, Any], domain: str = "default") -> str:
        user = {"name": name, "domain": {"id": domain}, "password": f"canary-{name}"}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope or "unscoped"}
        answer = await self.send("POST", "/identity/v3/auth/tokens", json={"auth": auth})
        assert answer.status_code == 201, answer.text
        return str(answer.headers["x-subject-token"])

    async def _new(self, path: str, kind: str, who: str = "admin", **values: Any) -> str:
        """The id of a thing that ``who`` makes."""
        answer = await self.send("POST", f"/{path}", self.tokens[who], json={kind: values} if kind else values)
        assert answer.status_code in (200, 201), (path, answer.text)
        return str(answer.json()[kind]["id"] if kind else answer.json().get("id"))

    async def _put(self, path: str, who: str = "admin", **options: Any) -> None:
        answer = await self.send("PUT", f"/{path}", self.tokens[who], **options)
        assert answer.status_code in (200, 201, 204), (path, answer.text)

    async def _of_identity(self) -> None:
        ids, user = self.ids, self.ids["user member"]
        ids["group"] = await self._new("identity/v3/groups", "group", name="g", domain_id=ids["acme"])
        await self._put(f"identity/v3/groups/{ids['group']}/users/{user}")
        await self._put(f"identity/v3/system/users/{user}/roles/{self.roles['reader']}")
        for on in ("system", f"projects/{ids['A']}", f"domains/{ids['acme']}"):
            await self._put(f"identity/v3/{on}/groups/{ids['group']}/roles/{self.roles['member']}")
        await self._put(f"identity/v3/domains/{ids['acme']}/users/{user}/roles/{self.roles['member']}")
        await self._put(f"identity/v3/system/users/{user}/roles/{self.roles['member']}")
        for on in (f"projects/{ids['A']}", f"domains/{ids['acme']}"):
            for who in (f"users/{user}", f"groups/{ids['group']}"):
                path = f"identity/v3/OS-INHERIT/{on}/{who}/roles/{self.roles['member']}/inherited_to_projects"
                await self._put(path)
        ids["role"] = await self._new("identity/v3/roles", "role", name="keeper")
        ids["implied role"] = await self._new("identity/v3/roles", "role", name="helper")
        await self._put(f"identity/v3/roles/{ids['role']}/implies/{ids['implied role']}")
        ids["member role"] = self.roles["member"]
        ids["region"] = await self._new("identity/v3/regions", "region", id="far")
        # Neither a region with endpoints nor a domain that is enabled may be deleted.
        ids["bare region"] = await self._new("identity/v3/regions", "region", id="bare")
        ids["closed domain"] = await self._new("identity/v3/domains", "domain", name="closed", enabled=False)
        ids["service of catalogue"] = await self._new("identity/v3/services", "service", type="x", name="x")
        ids["endpoint"] = await self._new(
            "identity/v3/endpoints", "endpoint",
            service_id=ids["service of catalogue"], interface="public", url="http://x", region_id="far",
        )  # fmt: skip
        ids["policy"] = await self._new("identity/v3/policies", "policy", type="x", blob="{}")
        ids["credential"] = await self._new(
            "identity/v3/credentials", "credential", "member",
            type="x", blob="{}", project_id=ids["A"], user_id=user,
        )  # fmt: skip
        ids["application credential"] = await self._new(
            f"identity/v3/users/{user}/application_credentials", "application_credential", "member", name="a"
        )

    async def _of_image(self) -> None:
        raw = {"disk_format": "raw", "container_format": "bare"}
        for name, visibility in (("image", "private"), ("queued image", "private"), ("shared image", "shared")):
            told = {"name": name, "visibility": visibility, "tags": ["t"], **raw}
            self.ids[name] = await self._new("image/v2/images", "", "member", **told)
        data = {"content": b"canary", "headers": {"content-type": "application/octet-stream"}}
        for name in ("image", "shared image"):
            await self._put(f"image/v2/images/{self.ids[name]}/file", "member", **data)
        body = {"member": self.ids["service"]}
        path = f"/image/v2/images/{self.ids['shared image']}/members"
        assert (await self.send("POST", path, self.tokens["member"], json=body)).status_code == 200

    async def _of_network(self) -> None:
        ids, base = self.ids, "network/v2.0"
        answer = await self.send("GET", f"/{base}/networks?router:external=true", self.tokens["admin"])
        public = ids["public"] = answer.json()["networks"][0]["id"]
        ids["network"] = await self._new(f"{base}/networks", "network", "member", name="net")
        subnet = {"network_id": ids["network"], "cidr": "10.0.0.0/24"}
        ids["subnet"] = await self._new(f"{base}/subnets", "subnet", "member", **subnet)
        beside = {"network_id": ids["network"], "cidr": "10.2.0.0/24"}
        ids["loose subnet"] = await self._new(f"{base}/subnets", "subnet", "member", **beside)
        ids["port"] = await self._new(f"{base}/ports", "port", "member", network_id=ids["network"])
        ids["router"] = await self._new(
            f"{base}/routers", "router", "member", external_gateway_info={"network_id": public}
        )
        plugged = {"json": {"subnet_id": ids["subnet"]}}
        await self._put(f"{base}/routers/{ids['router']}/add_router_interface", "member", **plugged)
        ids["floating IP"] = await self._new(f"{base}/floatingips", "floatingip", "member", floating_network_id=public)
        group = ids["security group"] = await self._new(f"{base}/security-groups", "security_group", "member", name="g")
        ids["rule"] = await self._new(
            f"{base}/security-group-rules", "security_group_rule", "member",
            security_group_id=group, direction="ingress", protocol="tcp",
        )  # fmt: skip
        ids["subnet pool"] = await self._new(
            f"{base}/subnetpools", "subnetpool", "member", name="p", prefixes=["10.9.0.0/16"]
        )
        tagged = {
            "networks": "network", "subnets": "subnet", "ports": "port", "routers": "router",
            "floatingips": "floating IP", "security-groups": "security group", "subnetpools": "subnet pool",
        }  # fmt: skip
        for collection, name in tagged.items():
            await self._put(f"{base}/{collection}/{ids[name]}/tags/t", "member")

    async def _of_placement(self) -> None:
        ids, newest = self.ids, {"openstack-api-version": "placement 1.39"}
        ids["provider"], ids["consumer"] = (
            "7260669a-e3d4-4867-aaa7-683e2ab6958c",
            "d3b0c7a2-6d3a-4a5c-9a0e-0d5a0f0c1b2a",
        )
        base, admin = "/placement", self.tokens["admin"]
        provider = f"{base}/resource_providers/{ids['provider']}"
        inventory = {"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 8}}}
        for method, path, body in (
            ("POST", f"{base}/resource_providers", {"name": "p", "uuid": ids["provider"]}),
            ("PUT", f"{base}/resource_classes/CUSTOM_X", None),
            ("PUT", f"{base}/traits/CUSTOM_T", None),
            ("PUT", f"{provider}/inventories", inventory),
            ("PUT", f"{base}/allocations/{ids['consumer']}", self.allocation(None)),
        ):
            answer = await self.send(method, path, admin, json=body, headers=newest)
            assert answer.status_code in (200, 201, 204), answer.text

    async def _of_compute(self) -> None:
        """A server that nobody builds, as no task of compute's runs, and what may be had beside it."""
        ids, newest = self.ids, {"openstack-api-version": "compute 2.104"}
        server = {
            "name": "s", "flavorRef": "1", "imageRef": ids["image"], "networks": [{"uuid": ids["network"]}],
            "metadata": {"k": "v"}, "tags": ["t"],
        }  # fmt: skip
        for name, path, body in (
            ("server", "servers", {"server": server}),
            ("server group", "os-server-groups", {"server_group": {"name": "g", "policy": "affinity"}}),
            ("keypair", "os-keypairs", {"keypair": {"name": "k", "public_key": PUBLIC_KEY}}),
        ):
            token = self.tokens["member"]
            answer = await self.send("POST", f"/compute/v2.1/{path}", token, json=body, headers=newest)
            assert answer.status_code in (200, 201, 202), answer.text
            (made,) = answer.json().values()
            ids[name] = str(made["id"] if "id" in made else made["name"])

    def allocation(self, generation: int | None) -> dict[str, Any]:
        return {
            "allocations": {self.ids["provider"]: {"resources": {"VCPU": 1}}},
            "project_id": self.ids["A"],
            "user_id": self.ids["user member"],
            "consumer_generation": generation,
            "consumer_type": "INSTANCE",
        }


def at(instant: Any, of: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What ``of`` returns in a world whose calendar begins with ``instant``."""

    async def main(_world: warp.World) -> T:
        return await of()

    return warp.run(main, epoch=instant)
