"""What guests are told about themselves, and only themselves."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx2 as httpx
import pytest

from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.metadata import SERVICE
from sundog.control.compute import Settings
from sundog.control.compute.metadata import (
    EC2_VERSIONS,
    OPENSTACK_VERSIONS,
    Guest,
    Metadata,
    document,
    signature_of,
)
from sundog.control.compute.records import AskedNetwork, Server
from sundog.control.principal import Principal
from sundog.control.store.tables import compute as tables
from sundog.control.viewer import EVERYTHING
from sundog.errors import NotFound, Unauthorized
from tests.computing import OWNER, Small, run
from tests.crashing import Crash, run_to_crash

USER_DATA = b"#!/bin/sh\necho \xff\n"


async def active(cloud: Small, **facts: Any) -> Server:
    server = cloud.create(**facts)
    await cloud.idle()
    return cloud.show(server)


async def described(cloud: Small) -> Server:
    """A server of which there is something to be told."""
    with cloud.compute.books.writing() as tx:
        tx.insert(
            tables.keypairs, user_id=OWNER.user_id, name="mine", type="ssh", public_key="ssh-ed25519 AAAA",
            fingerprint="x", created_at=cloud.compute.books.now(),
        )  # fmt: skip
    return await active(
        cloud, name="web", metadata={"role": "front"}, user_data=base64.b64encode(USER_DATA).decode(), key_name="mine"
    )  # fmt: skip


def seed(size: int) -> str:
    return "x" * size


def text(guest: Guest, path: str) -> str:
    return document(guest, path, seed=seed).content.decode()


def test_every_version_has_what_nova_gives_it() -> None:
    async def main(cloud: Small) -> None:
        server = await described(cloud)
        guest = cloud.compute.metadata.guest(server)
        assert text(guest, "openstack").splitlines() == [*OPENSTACK_VERSIONS, "latest"]
        told = json.loads(text(guest, "/openstack/latest/meta_data.json"))
        assert len(base64.b64decode(told.pop("random_seed"))) == 384
        assert told == {
            "uuid": server.id, "meta": {"role": "front"}, "public_keys": {"mine": "ssh-ed25519 AAAA"},
            "keys": [{"name": "mine", "type": "ssh", "data": "ssh-ed25519 AAAA"}], "hostname": "web.novalocal",
            "name": "web", "launch_index": 0, "availability_zone": "nova", "project_id": server.project_id,
            "devices": [], "dedicated_cpus": [],
        }  # fmt: skip
        first = json.loads(text(guest, "openstack/2012-08-10/meta_data.json"))
        assert set(told) - set(first) == {"project_id", "devices", "dedicated_cpus"}
        assert text(guest, "openstack/2012-08-10").splitlines() == ["meta_data.json", "user_data"]
        assert text(guest, "openstack/latest/").splitlines() == [
            "meta_data.json", "user_data", "password", "vendor_data.json", "network_data.json", "vendor_data2.json",
        ]  # fmt: skip
        assert document(guest, "openstack/latest/user_data", seed=seed).content == USER_DATA
        assert text(guest, "openstack/latest/vendor_data.json") == "{}"
        assert text(guest, "openstack/latest/password") == ""
        bare = replace(guest, server=replace(server, user_data=None, key=None, metadata={}))
        assert not {"meta", "keys", "public_keys"} & set(json.loads(text(bare, "openstack/latest/meta_data.json")))
        for path in (
            "openstack/1999-01-01", "openstack/latest/nothing", "openstack/latest/meta_data.json/more",
            "openstack/2012-08-10/network_data.json", "nothing", "latest/meta-data/nothing",
            "latest/meta-data/ami-id/x", "latest/meta-data/public-keys/0/_name",
        ):  # fmt: skip
            with pytest.raises(NotFound):
                text(guest, path)
        with pytest.raises(NotFound):
            text(bare, "openstack/latest/user_data")

    run(main)


def test_ports_with_a_tag_are_devices() -> None:
    async def main(cloud: Small) -> None:
        networks = [AskedNetwork(cloud.network_id), AskedNetwork(cloud.network_id, tag="storage")]
        server = await active(cloud, networks=networks)
        guest = cloud.compute.metadata.guest(server)
        mac = next(each.mac_address for each in guest.ports if each.id in guest.tags)
        device = {"type": "nic", "mac": mac, "bus": "none", "address": "none", "tags": ["storage"]}
        for version, devices in (
            ("2015-10-15", None),
            ("2016-06-30", [device]),
            ("2017-02-22", [device]),
            ("2018-08-27", [device | {"vf_trusted": False}]),
            ("latest", [device | {"vf_trusted": False}]),
        ):
            told = json.loads(text(guest, f"openstack/{version}/meta_data.json"))
            assert told.get("devices") == devices, version

    run(main)


def test_the_network_is_told_by_dhcp_or_in_full() -> None:
    async def main(cloud: Small) -> None:
        server = await active(cloud)
        (port,) = cloud.compute.servers.ports(server)
        (link,) = json.loads(text(cloud.compute.metadata.guest(server), "openstack/latest/network_data.json"))["links"]
        assert (link["vif_id"], link["ethernet_mac_address"], link["mtu"]) == (port.id, port.mac_address, 1450)
        told = json.loads(text(cloud.compute.metadata.guest(server), "openstack/latest/network_data.json"))
        (network,) = told["networks"]
        assert (network["type"], network["link"], "ip_address" in network) == ("ipv4_dhcp", link["id"], False)
        subnet = port.fixed_ips[0].subnet_id
        changes = {
            "enable_dhcp": False, "dns_nameservers": ["192.0.2.53"],
            "host_routes": [{"destination": "10.8.0.0/16", "nexthop": "10.0.0.9"}],
        }  # fmt: skip
        cloud.network.subnets.update(EVERYTHING, subnet, changes)
        told = json.loads(text(cloud.compute.metadata.guest(server), "openstack/latest/network_data.json"))
        (network,) = told["networks"]
        dns = [{"type": "dns", "address": "192.0.2.53"}]
        assert (network["ip_address"], network["netmask"]) == (port.fixed_ips[0].ip_address, "255.255.0.0")
        assert network["routes"] == [
            {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"},
            {"network": "10.8.0.0", "netmask": "255.255.0.0", "gateway": "10.0.0.9"},
        ]
        assert network["services"] == told["services"] == dns

    run(main)


def test_ec2s_paths_are_folders_and_texts() -> None:
    async def main(cloud: Small) -> None:
        server = await described(cloud)
        guest = cloud.compute.metadata.guest(server)
        assert text(guest, "/").splitlines() == [*EC2_VERSIONS, "latest"]
        assert text(guest, "latest").splitlines() == ["meta-data/", "user-data"]
        listed = text(guest, "latest/meta-data/").splitlines()
        assert {"placement/", "public-keys/", "instance-type", "local-ipv4"} < set(listed)
        assert "instance-type" not in text(guest, "1.0/meta-data").splitlines()
        assert text(guest, "latest/meta-data/public-keys/") == "0=mine"
        assert text(guest, "latest/meta-data/public-keys/0") == "openssh-key"
        assert text(guest, "latest/meta-data/public-keys/0/openssh-key") == "ssh-ed25519 AAAA"
        assert text(guest, "latest/meta-data/placement/availability-zone") == "nova"
        assert text(guest, "latest/meta-data/hostname") == "web.novalocal"
        assert text(guest, "latest/meta-data/instance-id") == "i-00000001"
        assert text(guest, "latest/meta-data/security-groups") == "default"
        assert text(guest, "latest/meta-data/local-ipv4") == guest.addresses[0].address
        assert document(guest, "latest/user-data", seed=seed).content == USER_DATA

    run(main)


# ---------------------------------------------------------------- who asks


def refuse(_token: str) -> Principal:
    raise Unauthorized("no token is taken here")


class Asking:
    """A client that says what proxies say, or something like it."""

    def __init__(self, cloud: Small) -> None:
        self._cloud = cloud
        desk = Desk(SimpleNamespace(compute=cloud.compute), Policy(SERVICE.rules), refuse, lambda: "req-x")
        self._app = application((SERVICE,), desk, version="1")

    async def __call__(self, path: str, headers: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud.test") as client:
            return await client.get(f"/metadata{path}", headers=headers)

    def proof(self, server: Server, **others: str) -> dict[str, str]:
        secret = self._cloud.compute.metadata.secret()
        signed = {
            "X-Instance-ID": server.id, "X-Tenant-ID": server.project_id,
            "X-Instance-ID-Signature": signature_of(secret, server.id),
        }  # fmt: skip
        return signed | {name.replace("_", "-"): value for name, value in others.items()}


def test_only_a_proxy_that_knows_the_secret_is_believed() -> None:
    async def main(cloud: Small) -> None:
        victim, mine = await active(cloud, name="victim"), await active(cloud, name="mine")
        ask, path = Asking(cloud), "/openstack/latest/meta_data.json"
        answer = await ask(path, ask.proof(mine, X_Forwarded_For="10.0.0.77"))
        assert (answer.status_code, answer.json()["name"]) == (200, "mine")
        assert answer.headers["content-type"] == "application/json"
        address = cloud.compute.servers.addresses([victim])[victim.id][0].address
        spoofed = ask.proof(mine, X_Forwarded_For=address)
        assert (await ask(path, spoofed)).json()["name"] == "mine"
        for headers, status in (
            ({"X-Forwarded-For": address}, 400),
            ({**ask.proof(mine), "X-Instance-ID": victim.id}, 403),
            (ask.proof(mine, X_Instance_ID_Signature=signature_of("guess", mine.id)), 403),
            (ask.proof(mine, X_Instance_ID_Signature=""), 403),
            (ask.proof(mine, X_Tenant_ID="9" * 32), 404),
            ({name: value for name, value in ask.proof(mine).items() if name != "X-Instance-ID-Signature"}, 400),
            ({name: value for name, value in ask.proof(mine).items() if name != "X-Tenant-ID"}, 400),
            ([*ask.proof(mine).items(), ("X-Instance-ID", victim.id)], 400),
            ([*ask.proof(mine).items(), ("X-Tenant-ID", "9" * 32)], 400),
        ):
            assert (await ask(path, headers)).status_code == status, headers
        assert (await ask("/openstack/latest/nothing", ask.proof(mine))).status_code == 404
        assert (await ask("/", {})).text.splitlines()[-1] == "latest"
        cloud.compute.servers.delete(OWNER, mine.id)
        await cloud.idle()
        assert (await ask(path, ask.proof(mine))).status_code == 404

    run(main)


def test_the_secret_is_made_up_once_or_the_operators() -> None:
    async def main(cloud: Small, crash: Crash) -> None:
        secret = cloud.compute.metadata.secret()
        assert len(secret) >= 32
        assert (await crash(cloud)).compute.metadata.secret() == secret
        own = Metadata(cloud.compute.books, cloud.compute.hosts, "the operator's")
        assert own.secret() == "the operator's"

    run_to_crash(main)
    assert "s3cret" not in repr(Settings(metadata_secret="s3cret"))
