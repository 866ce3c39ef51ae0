"""Floating IPs and networks by way of compute, until 2.35."""

from __future__ import annotations

import pytest

from sundog.control.network import bootstrap
from tests.unit.api.compute.cloud import refused

IPS = "/os-floating-ips"
NOTHING = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def public(cloud):
    return bootstrap(cloud.network, "project-admin")


def test_a_floating_ip_is_taken_shown_and_let_go(cloud, public):
    assert cloud.alice.get("/os-floating-ip-pools").json() == {"floating_ip_pools": [{"name": "public"}]}
    made = cloud.alice.post(IPS, json={"pool": "public"}).json()["floating_ip"]
    assert set(made) == {"id", "ip", "fixed_ip", "instance_id", "pool"}
    assert (made["pool"], made["instance_id"], made["fixed_ip"]) == ("public", None, None)
    assert cloud.reader.get(f"{IPS}/{made['id']}").json() == {"floating_ip": made}
    assert cloud.reader.get(IPS).json() == {"floating_ips": [made]}
    assert cloud.bob.get(IPS).json() == cloud.admin.get(IPS).json() == {"floating_ips": []}
    refused(cloud.bob.get(f"{IPS}/{made['id']}"), 404)
    refused(cloud.bob.delete(f"{IPS}/{made['id']}"), 404)
    gone = cloud.alice.delete(f"{IPS}/{made['id']}")
    assert (gone.status_code, gone.content) == (202, b"")
    message = refused(cloud.alice.delete(f"{IPS}/{made['id']}"), 404)
    assert message == f"Floating IP not found for ID {made['id']}"


def test_what_cannot_be_taken_is_refused(cloud, public):
    refused(cloud.alice.post(IPS, json={"pool": "private"}), 404)
    refused(cloud.alice.post(IPS, json={"pool": 5}), 400)
    refused(cloud.reader.post(IPS, json={}), 403)
    refused(cloud.alice.get(f"{IPS}/1"), 400)
    refused(cloud.alice.get(f"{IPS}/{NOTHING}"), 404)
    cloud.network.quotas.update("project-a", {"floatingip": 1})
    assert cloud.alice.post(IPS).status_code == 200
    assert refused(cloud.alice.post(IPS), 403) == "IP allocation over quota."


def test_networks_have_ids_and_labels_and_little_else(cloud, public):
    [told] = cloud.alice.get("/os-networks").json()["networks"]
    assert (told["id"], told["label"], told["cidr"]) == (public.id, "public", None)
    assert cloud.alice.get(f"/os-networks/{public.id}").json() == {"network": told}
    assert "bridge" not in told
    assert "bridge" in cloud.admin.get(f"/os-networks/{public.id}").json()["network"]
    brief = {"id": public.id, "cidr": "None", "label": "public"}
    assert cloud.alice.get("/os-tenant-networks").json() == {"networks": [brief]}
    assert cloud.alice.get(f"/os-tenant-networks/{public.id}").json() == {"network": brief}
    for path in ("/os-networks", "/os-tenant-networks"):
        assert refused(cloud.alice.get(f"{path}/{NOTHING}"), 404) == "Network not found"


@pytest.mark.parametrize(
    "path", [IPS, f"{IPS}/{NOTHING}", "/os-floating-ip-pools", "/os-networks", "/os-tenant-networks"]
)
def test_they_are_gone_since_2_36(cloud, public, path):
    refused(cloud.alice.get(path, v="2.36"), 404)
