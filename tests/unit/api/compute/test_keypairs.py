"""Keypairs as clients see them, version by version."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.unit.api.compute.cloud import refused

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtWuW8Jm4u6pVJ4cQF2y1W9bI1sd0Kxk2t3cUpn0Nvd someone@somewhere"


def make(who, name="key", v="2.92", **more):
    answer = who.post("/os-keypairs", json={"keypair": {"name": name, "public_key": KEY} | more}, v=v)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()["keypair"]


def names(answer):
    return [each["keypair"]["name"] for each in answer.json()["keypairs"]]


def test_a_key_is_imported_with_its_fingerprint(cloud):
    made = make(cloud.alice)
    digest = hashlib.md5(base64.b64decode(KEY.split()[1])).hexdigest()
    assert made == {
        "name": "key", "type": "ssh", "public_key": KEY, "user_id": "u1",
        "fingerprint": ":".join(digest[i : i + 2] for i in range(0, 32, 2)),
    }  # fmt: skip
    shown = cloud.alice.get("/os-keypairs/key", v="2.92").json()["keypair"]
    assert {name: shown[name] for name in made} == made
    assert (shown["id"], shown["deleted"], shown["deleted_at"], shown["updated_at"]) == (1, False, None, None)
    assert shown["created_at"].startswith("2024-01-01T")


@pytest.mark.parametrize(("v", "created", "deleted"), [("2.1", 200, 202), ("2.2", 201, 204), ("2.92", 201, 204)])
def test_codes_and_types_changed_with_2_2(cloud, v, created, deleted):
    answer = cloud.alice.post("/os-keypairs", json={"keypair": {"name": "key", "public_key": KEY}}, v=v)
    assert answer.status_code == created
    [listed] = cloud.alice.get("/os-keypairs", v=v).json()["keypairs"]
    for told in (
        answer.json()["keypair"],
        listed["keypair"],
        cloud.alice.get("/os-keypairs/key", v=v).json()["keypair"],
    ):
        assert ("type" in told) == (v != "2.1")
    gone = cloud.alice.delete("/os-keypairs/key", v=v)
    assert (gone.status_code, gone.content) == (deleted, b"")
    assert refused(cloud.alice.delete("/os-keypairs/key", v=v), 404) == "Keypair key not found for user u1"


def test_an_ssh_key_is_made_up_and_its_private_half_told_once(cloud):
    answer = cloud.alice.post("/os-keypairs", json={"keypair": {"name": "key"}})
    made = answer.json()["keypair"]
    private = serialization.load_pem_private_key(made["private_key"].encode(), None)
    public = private.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert made["public_key"].startswith(public.decode())
    shown = cloud.alice.get("/os-keypairs/key").text
    assert "private_key" not in shown
    assert made["private_key"][40:80] not in shown


def test_a_certificate_is_made_up_for_its_user(cloud):
    answer = cloud.alice.post("/os-keypairs", json={"keypair": {"name": "win", "type": "x509"}}, v="2.2")
    made = answer.json()["keypair"]
    certificate = x509.load_pem_x509_certificate(made["public_key"].encode())
    assert certificate.subject.rfc4514_string() == "CN=u1"
    key, beside, _ = pkcs12.load_key_and_certificates(base64.b64decode(made["private_key"]), None)
    assert beside == certificate
    assert key.public_key() == certificate.public_key()
    imported = make(cloud.alice, "again", "2.2", type="x509", public_key=made["public_key"])
    assert imported["fingerprint"] == made["fingerprint"]


def test_none_is_made_up_since_2_92(cloud):
    message = refused(cloud.alice.post("/os-keypairs", json={"keypair": {"name": "key"}}, v="2.92"), 400)
    assert message == "Invalid input for field/attribute keypair. 'public_key' is a required property"


@pytest.mark.parametrize("wrong", ["", "nonsense", "ssh-rsa", "ssh-rsa AAAA", KEY[:40], "ssh-rsa é"])
def test_what_is_no_public_key_is_refused(cloud, wrong):
    body = {"keypair": {"name": "key", "public_key": wrong}}
    assert "Keypair data is invalid" in refused(cloud.alice.post("/os-keypairs", json=body), 400)
    body["keypair"]["type"] = "x509"
    assert "Keypair data is invalid" in refused(cloud.alice.post("/os-keypairs", json=body, v="2.2"), 400)


@pytest.mark.parametrize("name", ["", " key", "a/b", "k" * 256, "é", "a\nb", 5, None, "key\n"])
def test_names_are_plain(cloud, name):
    for v in ("2.1", "2.92"):
        refused(cloud.alice.post("/os-keypairs", json={"keypair": {"name": name, "public_key": KEY}}, v=v), 400)


def test_names_may_hold_more_since_2_92(cloud):
    body = {"keypair": {"name": "me@example.org", "public_key": KEY}}
    refused(cloud.alice.post("/os-keypairs", json=body, v="2.91"), 400)
    assert make(cloud.alice, "me@example.org")["name"] == "me@example.org"


def test_keys_of_others_are_for_administrators_since_2_10(cloud):
    make(cloud.admin, user_id="u3")
    assert names(cloud.bob.get("/os-keypairs")) == ["key"]
    assert names(cloud.admin.get("/os-keypairs?user_id=u3", v="2.10")) == ["key"]
    assert names(cloud.admin.get("/os-keypairs?user_id=u3", v="2.9")) == []
    for call in (cloud.alice.get, cloud.alice.delete):
        refused(call("/os-keypairs/key?user_id=u3", v="2.10"), 403)
        refused(call("/os-keypairs/key", v="2.10"), 404)
    refused(cloud.alice.get("/os-keypairs?user_id=u3", v="2.35"), 403)
    body = {"keypair": {"name": "x", "public_key": KEY, "user_id": "u3"}}
    refused(cloud.alice.post("/os-keypairs", json=body, v="2.10"), 403)
    refused(cloud.admin.post("/os-keypairs", json=body, v="2.9"), 400)
    assert cloud.admin.delete("/os-keypairs/key?user_id=u3", v="2.75").status_code == 204


def test_a_name_is_taken_once_by_each_user(cloud):
    make(cloud.alice)
    make(cloud.bob)
    body = {"keypair": {"name": "key", "public_key": KEY}}
    assert refused(cloud.alice.post("/os-keypairs", json=body), 409) == "Key pair 'key' already exists."


def test_pages_by_name_since_2_35(cloud):
    for name in ("c", "a", "b"):
        make(cloud.alice, name)
    page = cloud.alice.get("/os-keypairs?limit=2", v="2.35")
    assert names(page) == ["a", "b"]
    [link] = page.json()["keypairs_links"]
    assert link["href"] == "http://cloud.test/compute/v2.1/os-keypairs?limit=2&marker=b"
    assert names(cloud.alice.get("/os-keypairs?limit=2&marker=b", v="2.35")) == ["c"]
    refused(cloud.alice.get("/os-keypairs?marker=nothing", v="2.35"), 400)
    assert len(names(cloud.alice.get("/os-keypairs?limit=2", v="2.34"))) == 3
    refused(cloud.alice.get("/os-keypairs?unknown=1", v="2.75"), 400)


def test_the_quota_holds_for_imported_and_made_up_keys(cloud):
    cloud.compute.quotas.update("project-a", {"key_pairs": 1})
    make(cloud.alice)
    for body in ({"name": "more", "public_key": KEY}, {"name": "more"}):
        message = refused(cloud.alice.post("/os-keypairs", json={"keypair": body}), 403)
        assert message == "Quota exceeded, too many key pairs."
