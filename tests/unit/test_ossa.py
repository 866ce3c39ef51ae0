"""OpenStack's security advisories, each tried on us under its own number: docs/reference/security.md has all of them.

What needs hosts is in ``tests/system/test_real_ossa.py``; some are beside the code that they are about.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sundog import app
from sundog.api.kit.service import NO_TOKEN, Operation, Service
from sundog.backends.contract import ImageReference
from sundog.backends.libvirt.images import Images, qcow2_size
from sundog.backends.simulated.faults import FaultKind, OperationFault
from sundog.control.compute.work import for_owners
from sundog.errors import (
    BackendFailed,
    Conflict,
    HostDown,
    NoSuchServer,
    NotSupported,
    OutcomeUnknown,
    PlainFailure,
    SundogError,
)
from tests.moving import QUICK
from tests.unit.api.compute.servers_api import Api, with_api
from tests.unit.api.identity.cloud import Cloud as IdentityCloud
from tests.unit.api.image.cloud import DATA
from tests.unit.api.image.cloud import Cloud as ImageCloud
from tests.unit.api.network.cloud import Cloud as NetworkCloud
from tests.unit.api.network.cloud import refused
from tests.unit.api.rbac.requests import STREAMS, request_for
from tests.unit.api.rbac.world import LATER, World, at
from tests.unit.backends.libvirt.test_images import Given, flattened, needs_qemu_img
from tests.unit.control.image.hostile import descriptor, qcow2, vmdk

SECRET = b"the-canary-of-the-host-" * 1000
GUARDED = [
    (service, operation)
    for service in app.SERVICES
    for operation in service.operations
    if operation.rule is not NO_TOKEN and f"{service.name} {operation.method} {operation.path}" not in STREAMS
]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the host's own."""
    path = tmp_path / "canary"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Iterator[ImageCloud]:
    cloud = ImageCloud(tmp_path / "store")
    yield cloud
    cloud.close()


@pytest.fixture
def identity() -> Iterator[IdentityCloud]:
    cloud = IdentityCloud()
    yield cloud
    cloud.store.close()


@pytest.fixture
def network() -> Iterator[NetworkCloud]:
    cloud = NetworkCloud()
    yield cloud
    cloud.store.close()


# --------------------------------------------------------------------------------------------------------------- images


def gets_in_nowhere(cloud: ImageCloud, claimed: str, data: bytes) -> None:
    """It is refused as an upload and as an import, and nothing of it stays."""
    image = cloud.make(disk_format=claimed)
    assert cloud.alice.put(f"/image/v2/images/{image}/file", content=data, headers=DATA).status_code == 415
    assert cloud.show(image)["status"] == "queued"
    assert cloud.alice.put(f"/image/v2/images/{image}/stage", content=data, headers=DATA).status_code == 204
    method = {"method": {"name": "glance-direct"}}
    assert cloud.alice.post(f"/image/v2/images/{image}/import", json=method).status_code == 202
    assert cloud.show(image)["status"] == "queued"
    assert cloud.files() == {}


def test_ossa_2024_001_a_qcow2_with_an_external_data_file(images: ImageCloud, tmp_path: Path, canary: Path) -> None:
    data = qcow2(incompatible=4, extensions=((0x44415441, str(canary).encode()),))
    gets_in_nowhere(images, "qcow2", data)
    with pytest.raises(BackendFailed, match="keeps its data in another file"):  # whatever let it in
        flattened(tmp_path, data, "qcow2")


@needs_qemu_img
@pytest.mark.parametrize("what", ["qcow2 above a file", "VMDK descriptor"])
def test_ossa_2024_002_raw_that_is_something_else(images: ImageCloud, tmp_path: Path, canary: Path, what: str) -> None:
    data = qcow2(backing=str(canary).encode())
    if what == "VMDK descriptor":
        data = descriptor("monolithicFlat", extents=f'RW 64 FLAT "{canary}" 0')
    gets_in_nowhere(images, "raw", data)
    path, size = flattened(tmp_path, data, "raw")  # whatever let it in: it is taken for what it was said to be
    assert size == -(-len(data) // 512) * 512
    assert SECRET[:100] not in path.read_bytes()


def test_ossa_2023_002_a_vmdk_whose_extent_is_a_file_of_the_host(
    images: ImageCloud, tmp_path: Path, canary: Path
) -> None:
    flat = f'RW 64 FLAT "{canary}" 0'
    for data in (descriptor("monolithicFlat", extents=flat), vmdk(descriptor(extents=flat))):
        gets_in_nowhere(images, "vmdk", data)
    with pytest.raises(BackendFailed, match="hosts boot from qcow2, raw"):
        flattened(tmp_path, vmdk(), "vmdk")


@pytest.mark.parametrize("version", [2, 3])
def test_ossa_2015_011_and_2015_014_a_qcow2_with_a_backing_file(
    images: ImageCloud, tmp_path: Path, canary: Path, version: int
) -> None:
    for backing in (str(canary).encode(), b"nbd://192.0.2.1:10809/secret"):
        data = qcow2(version=version, backing=backing)
        gets_in_nowhere(images, "qcow2", data)
        with pytest.raises(BackendFailed, match="has a backing file"):
            flattened(tmp_path, data, "qcow2")


TELLS = """#!/bin/sh
echo "memory $(ulimit -v) seconds $(ulimit -t) $*" >&2
exit 1
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command in the place of qemu-img says of its limits and its words."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed: util-linux")
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "qemu-img").write_text(TELLS)
    (tools / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    with pytest.raises(BackendFailed) as caught:
        flattened(tmp_path, bytes(1024), "raw")
    return caught.value.message


def test_ossa_2016_012_qemu_img_has_limits_of_memory_and_time(told: str) -> None:
    assert "memory 1048576 seconds 600 " in told  # KiB


def test_ossa_2016_012_a_disk_of_60_tb_is_not_let_in(images: ImageCloud) -> None:
    gets_in_nowhere(images, "qcow2", qcow2(60 * 10**12))
    with pytest.raises(BackendFailed, match="that cannot be"):
        qcow2_size(qcow2(2**63), "i")


def test_ossa_2016_012_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "qemu-img").write_text("#!/bin/sh\nexec sleep 1000\n")
    (tools / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")

    async def main() -> None:
        made = Images(Given(bytes(1024)), tmp_path / "images")
        with pytest.raises(BackendFailed, match=r"not flattened within 0\.1 s"):
            await made.local(ImageReference("an-image", 1024, "raw"), limit=0.1)
        made.close()

    asyncio.run(main())
    assert list((tmp_path / "images").iterdir()) == []


def test_ossa_2026_002_qemu_img_is_told_what_an_image_is(told: str) -> None:
    assert " convert -f raw -O qcow2 " in told


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/", "http://169.254.169.254/latest/meta-data/", "http://2130706433/", "http://0x7f000001/",
        "http://017700000001/", "http://[::ffff:127.0.0.1]/", "http://[::1]/", "http://127.1/", "http://0/",
        "file:///etc/passwd", "http://redirects.example.org/", "http://user@127.0.0.1/", "gopher://127.0.0.1/",
    ],
)  # fmt: skip
def test_ossa_2026_004_nothing_is_fetched_from_where_a_client_says(images: ImageCloud, uri: str) -> None:
    """Images come from clients alone: there is no way to name an address, so none leads anywhere."""
    told = images.alice.get("/image/v2/info/import")
    assert told.json()["import-methods"]["value"] == ["glance-direct"]
    image = images.make()
    path = f"/image/v2/images/{image}"
    for method in ("web-download", "glance-download", "copy-image"):
        body = {"method": {"name": method, "uri": uri}}
        assert images.alice.post(f"{path}/import", json=body).status_code == 400
    location = [{"op": "add", "path": "/locations/-", "value": {"url": uri, "metadata": {}}}]
    patch = {"content-type": "application/openstack-images-v2.1-json-patch"}
    assert images.admin.patch(path, json=location, headers=patch).status_code in (400, 403)
    assert images.admin.post(f"{path}/locations", json={"url": uri}).status_code == 404
    assert images.files() == {}


# ------------------------------------------------------------------------------------------------------------- identity


def test_ossa_2020_004_the_owner_of_a_credential_is_not_changed(identity: IdentityCloud) -> None:
    """CVE-2020-12691: a credential that is another's would be used with their roles."""
    credentials = "/identity/v3/credentials"
    project = identity.make("projects", "project", name="p")["id"]
    eve = identity.persona("eve", "member", f"projects/{project}")
    body = {"type": "ec2", "blob": '{"access": "A", "secret": "s"}', "project_id": project}
    made = eve.post(credentials, json={"credential": body}).json()["credential"]
    path = f"{credentials}/{made['id']}"
    for changed in ({"user_id": identity.ids.user_id}, {"project_id": identity.ids.project_id}):
        assert eve.patch(path, json={"credential": changed}).status_code == 400
    forged = body | {"user_id": identity.ids.user_id, "blob": '{"access": "B", "secret": "s"}'}
    assert eve.post(credentials, json={"credential": forged}).status_code == 403
    assert eve.get(path).json()["credential"] == made


def test_ossa_2025_002_there_is_no_way_in_by_ec2_or_s3_signatures(identity: IdentityCloud) -> None:
    for path in ("ec2tokens", "s3tokens", "users/u/credentials/OS-EC2"):
        body = {"credentials": {"access": "A", "signature": "s", "token": "t"}}
        assert identity.anybody.post(f"/identity/v3/{path}", json=body).status_code == 404
        assert identity.admin.post(f"/identity/v3/{path}", json=body).status_code == 404
    (service,) = [each for each in app.SERVICES if each.name == "identity"]
    open_ones = {each.path for each in service.operations if each.rule is NO_TOKEN and each.method == "POST"}
    assert open_ones == {"/v3/auth/tokens", "/v3/users/{user_id}/password"}  # both want the password


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("state"))
    yield world
    world.close()


def named(case: tuple[Service, Operation]) -> str:
    service, operation = case
    return f"{operation.method} {service.prefix}{operation.path} {operation.action or ''} {operation.since or ''}"


@pytest.mark.parametrize("case", GUARDED, ids=named)
def test_ossa_2026_001_identity_headers_of_a_client_change_nothing(
    world: World, case: tuple[Service, Operation]
) -> None:
    request = request_for(world, *case)
    spoofed = {
        "x-roles": "admin,service", "x-role": "admin", "x-user-id": world.ids["user member"],
        "x-project-id": world.ids["A"], "x-tenant-id": world.ids["A"], "x-domain-id": world.ids["acme"],
        "x-is-admin-project": "True", "x-identity-status": "Confirmed", "x-service-roles": "service",
        "openstack-system-scope": "all", "x-system-scope": "all",
    }  # fmt: skip

    async def ask(who: str, **headers: str) -> int:
        options = dict(request.options)
        options["headers"] = {**options.get("headers", {}), **headers}
        return (await world.send(request.method, request.path, world.tokens.get(who), **options)).status_code

    async def main() -> list[tuple[str, int, int]]:
        return [(who, await ask(who), await ask(who, **spoofed)) for who in ("none", "stranger", "reader")]

    answers = at(LATER, main)
    assert [each for each in answers if each[1] != each[2]] == []
    assert answers[0][2] == 401


# -------------------------------------------------------------------------------------------------------------- network


@pytest.mark.parametrize("end", ["\n", "\r", ",", "\x00", "\u2028", "\ndhcp-script=/bin/sh", ",10.0.0.66"])
def test_ossa_2021_005_nothing_reaches_dnsmasq_but_what_it_is(network: NetworkCloud, end: str) -> None:
    """CVE-2021-40085: an option, a name server, a host name or a domain with the end of a line, or a comma, in it."""
    made, subnet = network.wired(network.alice)
    port = network.make(network.alice, "ports", network_id=made["id"])
    v2 = "/network/v2.0"
    option = {"opt_name": "router", "opt_value": f"10.0.0.1{end}"}
    name = {"opt_name": f"router{end}", "opt_value": "10.0.0.1"}
    for told in (option, name):
        new = {"network_id": made["id"], "extra_dhcp_opts": [told]}
        refused(network.alice.post(f"{v2}/ports", json={"port": new}), 400)
        refused(network.alice.put(f"{v2}/ports/{port['id']}", json={"port": {"extra_dhcp_opts": [told]}}), 400)
    servers = {"dns_nameservers": [f"192.0.2.53{end}"]}
    refused(network.alice.put(f"{v2}/subnets/{subnet['id']}", json={"subnet": servers}), 400)
    new = {"network_id": made["id"], "cidr": "10.1.0.0/24", "ip_version": 4}
    for told in (servers, {"gateway_ip": f"10.1.0.1{end}"}, {"host_routes": [
        {"destination": "192.0.2.0/24", "nexthop": f"10.1.0.9{end}"}]}, {"host_routes": [
        {"destination": f"192.0.2.0/24{end}", "nexthop": "10.1.0.9"}]},
    ):  # fmt: skip
        refused(network.alice.post(f"{v2}/subnets", json={"subnet": {**new, **told}}), 400)
    for kind, one, told in (
        ("ports", port["id"], {"dns_name": f"web{end}"}),
        ("ports", port["id"], {"dns_domain": f"example.org{end}"}),
        ("networks", made["id"], {"dns_domain": f"example.org{end}"}),
        ("ports", port["id"], {"mac_address": f"fa:16:3e:00:00:01{end}"}),
        ("ports", port["id"], {"fixed_ips": [{"ip_address": f"10.0.0.9{end}"}]}),
    ):
        refused(network.alice.put(f"{v2}/{kind}/{one}", json={kind[:-1]: told}), 400)
    assert network.alice.get(f"{v2}/ports/{port['id']}").json()["port"]["extra_dhcp_opts"] == []
    assert network.alice.get(f"{v2}/subnets").json()["subnets"] == [subnet]


def test_ossa_2021_005_a_host_name_is_a_host_name() -> None:
    async def main(api: Api) -> None:
        for end in ("\n", "\r", "\x00", "\u2028", "\n10.0.0.66 router"):
            answer = await api.alice.post("/servers", api.wish(f"web{end}", v="2.90"), v="2.90")
            assert answer.status_code == 400, repr(end)
        for end in ("\n", ",", "\x00", " ", "/", "é", "\n10.0.0.66 router"):
            for version in ("2.90", "2.94"):
                answer = await api.alice.post("/servers", api.wish(v=version, hostname=f"web{end}"), v=version)
                assert answer.status_code == 400, repr(end)
        server = await api.boot("<&'\" ,é>", v="2.90")
        hostname = (await api.shown(server, v="2.90"))["OS-EXT-SRV-ATTR:hostname"]
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?", hostname)

    with_api(main)


def test_ossa_2024_005_tags_of_others_are_not_seen_and_not_changed(network: NetworkCloud) -> None:
    made, subnet = network.wired(network.alice)
    owned = {
        "networks": made["id"],
        "subnets": subnet["id"],
        "ports": network.make(network.alice, "ports", network_id=made["id"])["id"],
        "routers": network.make(network.alice, "routers")["id"],
        "security-groups": network.make(network.alice, "security-groups", name="g")["id"],
    }
    for kind, one in owned.items():
        path = f"/network/v2.0/{kind}/{one}/tags"
        assert network.alice.put(f"{path}/mine").status_code == 201
        attempts: list[tuple[str, str, Any]] = [
            ("GET", path, None), ("GET", f"{path}/mine", None), ("PUT", f"{path}/theirs", None),
            ("PUT", path, {"tags": ["theirs"]}), ("DELETE", path, None), ("DELETE", f"{path}/mine", None),
        ]  # fmt: skip
        for method, where, body in attempts:
            assert network.bob(method, where, json=body).status_code == 404, (kind, method)
            assert method == "GET" or network.reader(method, where, json=body).status_code in (403, 404)
        assert network.alice.get(path).json() == {"tags": ["mine"]}


# -------------------------------------------------------------------------------------------------------------- compute

DEEDS: dict[str, tuple[str, Any]] = {
    "rebuild": ("rebuild", {"imageRef": ""}),
    "reboot": ("reboot", {"type": "HARD"}),
    "power_off": ("os-stop", None),
    "pause": ("pause", None),
    "suspend": ("suspend", None),
    "rescue": ("rescue", None),
    "resize_begin": ("resize", {"flavorRef": "2"}),
    "live_migrate": ("os-migrateLive", {"host": None, "block_migration": "auto"}),
    "snapshot": ("createImage", {"name": "mine"}),
    "set_password": ("changePassword", {"adminPass": "a Password 1"}),
}
"""Operations of a driver, and the action of a server that each is done for."""


@pytest.mark.parametrize("operation", ["spawn", *DEEDS])
@pytest.mark.parametrize("kind", [FaultKind.FAIL, FaultKind.HANG])
def test_ossa_2019_003_what_a_host_says_is_for_administrators(operation: str, kind: FaultKind) -> None:
    """CVE-2019-14433: faults, actions and answers told a server's owner of hosts, files and addresses behind it."""

    async def main(api: Api) -> None:
        if operation != "spawn":
            server = await api.boot()
        api.small.driver.faults.order(OperationFault(kind, operation, count=None))
        if operation == "spawn":
            server = await api.boot()
        else:
            action, told = DEEDS[operation]
            body = {"imageRef": api.small.image_id} if operation == "rebuild" else told
            who = api.admin if operation == "live_migrate" else api.alice
            version = "2.34" if operation == "live_migrate" else "2.84"
            answer = await who.act(server, action, body, v=version)
            assert answer.status_code < 500, answer.text
            hides(answer.text)
        await api.small.idle()
        hides((await api.alice.get(f"/servers/{server}", v="2.84")).text)
        listed = (await api.alice.get(f"/servers/{server}/os-instance-actions", v="2.84")).json()["instanceActions"]
        shown = f"/servers/{server}/os-instance-actions/{listed[0]['request_id']}"
        hides((await api.alice.get(shown, v="2.84")).text)
        assert listed[0]["message"]
        (event, *_) = (await api.admin.get(shown, v="2.84")).json()["instanceAction"]["events"]
        assert SAID.search(event["details"]), event  # nothing is lost
        if operation in ("spawn", "rebuild"):
            fault = (await api.admin.get(f"/servers/{server}", v="2.84")).json()["server"]["fault"]
            assert SAID.search(fault["details"]), fault

    with_api(main, settings=QUICK)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BackendFailed("host h1: /var/lib"), "The host of the server could not do this."),
        (HostDown("host h1"), "The host of the server does not answer."),
        (NoSuchServer("host h1"), "The host of the server could not do this."),
        (OutcomeUnknown("host h1"), "Nobody knows whether the host of the server has done this."),
        (NotSupported("spawn on host h1 is not possible", host="1"), "The host of the server cannot do this."),
        (PlainFailure("the image is none"), "the image is none"),
        (Conflict("No valid host was found. "), "No valid host was found. "),
    ],
)
def test_ossa_2019_003_each_kind_of_failure_has_its_words_for_owners(error: SundogError, told: str) -> None:
    assert for_owners(error) == told


SAID = re.compile(r"\bh[0-9]\b|as was ordered|no answer|reconcile")
"""Words of the simulated driver, and names of its hosts."""


def hides(text: str) -> None:
    assert not SAID.search(text), text
