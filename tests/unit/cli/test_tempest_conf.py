"""A tempest.conf for a cloud that runs: what is asked, what is said, what is refused."""

from __future__ import annotations

import configparser
from dataclasses import replace
from pathlib import Path

import pytest

from sundog import app
from sundog.api.kit.server import Listen
from sundog.cli.tempest_conf import (
    Access,
    Answer,
    Facts,
    Guests,
    find_out,
    read_clouds,
    sections,
    sender,
    text,
    two_flavors,
)
from sundog.control.identity import Settings as IdentitySettings
from sundog.control.store import open_store
from sundog.errors import InputError
from sundog.runtime import warp
from tests.unit.api.client import Client

CHEAP = IdentitySettings(argon2_memory_kib=8, argon2_passes=1)
SETTINGS = app.Settings(admin_password="canary-password", identity=CHEAP, seed=1)
ACCESS = Access("http://cloud/identity", "admin", "secret", "admin", "default", "default", "RegionOne")
FACTS = Facts("Default", frozenset({"identity", "image"}))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    """The access to a new cloud, and what sends requests to it in this process."""
    folder = tmp_path_factory.mktemp("state")
    store = open_store(app.MEMORY)
    made = app.make_cloud(store, folder, 1, CHEAP)

    async def main(_world):
        return app._prepare(made, folder, SETTINGS)

    access = read_clouds(warp.run(main), "sundog")
    client = Client(app.make_app(made, 1), base=Listen().url)

    def send(method, address, headers, body):
        told = client(method, address, headers=dict(headers), content=body)
        return Answer(told.status_code, told.headers, told.json() if told.content else None)

    return access, send, client


def parsed(made) -> configparser.ConfigParser:
    conf = configparser.ConfigParser(interpolation=None, default_section="none")
    conf.read_string(text(made))
    return conf


def test_a_new_cloud_tells_what_tempest_must_know(cloud):
    access, send, _ = cloud
    facts = find_out(access, send)
    assert facts.services >= {"identity", "image", "network", "placement", "compute"}
    assert facts.domain == "Default"
    assert facts.public_network is not None
    assert facts.public_network[1] == "public"
    assert "security-group" in facts.extensions
    assert facts.images == ()
    assert facts.versions["placement"] == "1.39"
    assert facts.versions["compute"].startswith("2.")
    assert facts.flavors == ("1", "3")


def test_only_active_public_images_are_taken_the_oldest_first(cloud):
    access, send, client = cloud
    body = {"methods": ["password"], "password": {"user": {"name": "admin", "domain": {"id": "default"}}}}
    body["password"]["user"]["password"] = access.password
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    answer = client.post("/identity/v3/auth/tokens", json={"auth": {"identity": body, "scope": scope}})
    headers = {"x-auth-token": answer.headers["x-subject-token"]}
    ids = []
    for name, visibility, data in (
        ("hidden", "private", b"x"), ("queued", "public", None), ("one", "public", b"x"), ("two", "public", b"x"),
        ("three", "public", b"x"),
    ):  # fmt: skip
        wanted = {"name": name, "visibility": visibility, "disk_format": "raw", "container_format": "bare"}
        ids.append(client.post("/image/v2/images", json=wanted, headers=headers).json()["id"])
        if data is not None:
            octets = headers | {"content-type": "application/octet-stream"}
            assert client.put(f"/image/v2/images/{ids[-1]}/file", content=data, headers=octets).status_code == 204
    conf = parsed(sections(access, find_out(access, send), Path("/w")))
    assert (conf["compute"]["image_ref"], conf["compute"]["image_ref_alt"]) == (ids[2], ids[3])


def test_a_file_says_all_of_it_and_leaves_out_what_is_not_there():
    facts = replace(
        FACTS, public_network=("n1", "public"), extensions=("router", "quotas"), images=("i1",), flavors=("1", "3"),
        versions={"compute": "2.104"}, hosts=3, services=frozenset({"identity", "image", "network", "compute"}),
    )  # fmt: skip
    conf = parsed(sections(ACCESS, facts, Path("/w")))
    assert conf["identity"]["uri_v3"] == "http://cloud/identity/v3"
    assert conf["DEFAULT"]["log_dir"] == "/w/logs"
    assert dict(conf["service_available"]) == {
        "nova": "true", "glance": "true", "neutron": "true", "cinder": "false", "swift": "false", "horizon": "false",
    }  # fmt: skip
    assert conf["network"]["public_network_id"] == "n1"
    assert conf["network-feature-enabled"]["api_extensions"] == "router,quotas"
    assert (conf["compute"]["image_ref"], conf["compute"]["image_ref_alt"]) == ("i1", "i1")
    assert (conf["compute"]["flavor_ref"], conf["compute"]["flavor_ref_alt"]) == ("1", "3")
    assert (conf["compute"]["max_microversion"], conf["compute"]["min_compute_nodes"]) == ("2.104", "3")
    assert "ca_certificates_file" not in conf["identity"]
    bare = parsed(sections(ACCESS, FACTS, Path("/w")))
    assert not {"image_ref", "flavor_ref", "max_microversion", "min_compute_nodes"} & set(bare["compute"])
    assert "public_network_id" not in bare["network"]


def test_other_services_can_be_said_to_be_missing():
    conf = parsed(sections(ACCESS, FACTS, Path("/w"), only=["identity"]))
    assert set(dict(conf["service_available"]).values()) == {"false"}
    with pytest.raises(InputError, match="no such service; it has identity, image"):
        sections(ACCESS, FACTS, Path("/w"), only=["volume"])


def test_where_time_flies_nobody_waits():
    for rate, interval in ((0.0, "1"), (1.0, "1"), (60.0, "0")):
        conf = parsed(sections(ACCESS, replace(FACTS, rate=rate), Path("/w")))
        assert conf["compute"]["build_interval"] == interval


def test_a_value_can_neither_end_its_line_nor_name_an_option():
    assert "admin_password = a$$b%" in text(sections(replace(ACCESS, password="a$b%"), FACTS, Path("/w")))
    for wrong in ("two\nlines", "carriage\rreturn", " space", "space ", "null\0"):
        with pytest.raises(InputError, match="cannot stand in a tempest") as refused:
            text(sections(replace(ACCESS, username=wrong), FACTS, Path("/w")))
        assert refused.value.key == "admin_username"


def test_features_of_servers_are_what_hosts_can_do(cloud):
    access, send, _ = cloud
    facts = find_out(access, send)
    assert facts.capabilities is not None
    assert facts.capabilities["name"] == "simulated"

    def said(**more):
        known = facts.capabilities | more
        return parsed(sections(ACCESS, replace(facts, capabilities=known), Path("/w")))["compute-feature-enabled"]

    assert {said()[name] for name in ("change_password", "resize", "shelve", "serial_console")} == {"true"}
    assert {said()[name] for name in ("vnc_console", "spice_console", "personality")} == {"false"}
    assert said(consoles=["novnc"])["vnc_console"] == "true"
    assert said(consoles=[])["serial_console"] == "false"
    assert said(set_password=False)["change_password"] == "false"
    without = said(resize=False, live_migration=False, snapshot=False)
    gone = {name for name, told in without.items() if told != said()[name]}
    assert gone == {
        "resize", "cold_migration", "live_migration", "block_migration_for_live_migration", "shelve", "snapshot",
    }  # fmt: skip
    # A cloud that is not ours does not say.
    of_another = parsed(sections(ACCESS, replace(facts, capabilities=None), Path("/w")))["compute-feature-enabled"]
    assert (of_another["pause"], of_another["vnc_console"]) == ("true", "false")


def test_tests_log_in_to_guests_if_it_is_known_as_whom(cloud):
    known = replace(FACTS, public_network=("n1", "public"))
    conf = parsed(sections(ACCESS, known, Path("/w")))
    assert dict(conf["validation"]) == {"run_validation": "false"}
    assert "build_timeout" not in conf["compute"]
    conf = parsed(sections(ACCESS, known, Path("/w"), guests=Guests("root", 900)))
    assert dict(conf["validation"]) == {
        "run_validation": "true", "connect_method": "floating", "image_ssh_user": "root", "image_alt_ssh_user": "root",
        "ssh_timeout": "900",
    }  # fmt: skip
    assert conf["compute"]["build_timeout"] == "900"
    conf = parsed(sections(ACCESS, FACTS, Path("/w"), guests=Guests("root")))
    assert (conf["validation"]["connect_method"], conf["validation"].get("ssh_timeout")) == ("fixed", None)


def test_the_external_network_can_be_named(cloud):
    access, send, _ = cloud
    first = find_out(access, send)
    assert find_out(access, send, network="public") == first
    with pytest.raises(InputError, match="no such external network; there is public"):
        find_out(access, send, network="lan")


def flavor(name, vcpus, ram, disk):
    return {"id": name, "vcpus": vcpus, "ram": ram, "disk": disk}


def test_the_second_flavor_is_larger_in_everything():
    several = [
        flavor("big", 4, 4096, 40),
        flavor("wide", 4, 512, 40),
        flavor("tiny", 1, 512, 1),
        flavor("none", 1, 64, 0),
    ]
    assert two_flavors(several) == ("tiny", "big")
    assert two_flavors(several[2:]) == ("tiny",)
    assert two_flavors([]) == ()


def test_a_cloud_that_does_not_let_the_administrator_in_or_answers_something_else_is_said_so(cloud):
    access, send, _ = cloud
    with pytest.raises(InputError, match="does not let admin in") as refused:
        find_out(replace(access, password="canary-wrong"), send)
    assert "canary" not in str(refused.value)
    assert "canary" not in repr(access)

    def broken(method, address, headers, body):
        return send(method, address, headers, body) if method == "POST" else Answer(500, {}, None)

    with pytest.raises(InputError, match="answers 500 to GET"):
        find_out(access, broken)


def test_nobody_at_the_address_and_no_address_at_all():
    send = sender(ACCESS)
    for address, said in (
        ("file:///etc/hostname", "no address of a cloud"),
        ("http://127.0.0.1:1/x", "no cloud answers"),
    ):
        with pytest.raises(InputError, match=said):
            send("GET", address, {}, None)
    with pytest.raises(InputError, match="cannot be read"):
        sender(replace(ACCESS, cacert="missing.pem"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no cloud is described"),
        ("clouds: [", "no cloud is described"),
        ("", "is not there"),
        ("clouds: {other: {}}", "lacks 'sundog'"),
        ("clouds: {sundog: {auth: {auth_url: x, username: y}}}", "lacks 'password'"),
        ("clouds: {sundog: words}", "is not there"),
    ],
)
def test_a_clouds_yaml_that_cannot_be_used_is_refused(tmp_path, sundog, content, said):
    path = tmp_path / "clouds.yaml"
    if content is not None:
        path.write_text(content)
    told = sundog("tempest-conf", "--clouds", path)
    assert told.code == 2
    assert said in told.err
