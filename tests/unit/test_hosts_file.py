"""The file of real hosts: what is in it, who may be in it, and that it is whole whoever writes it."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from sundog import app
from sundog.app.hosts import KnownHost, KnownNode, changing_hosts, find_host, read_hosts, read_node, refuse_twice
from sundog.backends.libvirt.host_check import _is_for_others, address_of
from sundog.errors import InputError

A = KnownHost(name="a", uri="qemu+tcp://192.0.2.1/system", uuid="a" * 32, virt_type="qemu", address="192.0.2.1")
B = KnownHost(name="b", uri="qemu+tcp://192.0.2.2/system", uuid="b" * 32)


def add(folder: Path, *new: KnownHost) -> None:
    with changing_hosts(folder) as hosts:
        hosts.extend(new)


def test_hosts_are_kept_in_their_order_for_their_owner_alone(tmp_path: Path) -> None:
    assert read_hosts(tmp_path / "new") == ()
    add(tmp_path / "new", B, A)
    assert read_hosts(tmp_path / "new") == (B, A)
    assert stat.S_IMODE((tmp_path / "new/hosts.yaml").stat().st_mode) == 0o600
    with changing_hosts(tmp_path / "new") as hosts:
        hosts.remove(find_host(hosts, "b" * 32))
    assert read_hosts(tmp_path / "new") == (A,)
    assert A.spec().address == "192.0.2.1"


def test_nothing_is_written_if_something_goes_wrong(tmp_path: Path) -> None:
    add(tmp_path, A)

    def change() -> None:
        with changing_hosts(tmp_path) as hosts:
            hosts.append(B)
            find_host(hosts[:1], "c")

    with pytest.raises(InputError, match="there is no host 'c'; the hosts are a"):
        change()
    assert read_hosts(tmp_path) == (A,)


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (B.model_copy(update={"uuid": A.uuid}), "host_uuid"),
        (B.model_copy(update={"name": "a"}), "name a already"),
        (B.model_copy(update={"uri": A.uri}), "uri qemu"),
    ],
)
def test_no_host_is_there_twice(new: KnownHost, why: str) -> None:
    with pytest.raises(InputError, match=why):
        refuse_twice([A], new)
    refuse_twice([A], B)


@pytest.mark.parametrize("text", ["hosts: 3", "hosts: [{name: a}]", "[", "hosts: [{name: '../x', uri: u, uuid: x}]"])
def test_a_file_that_cannot_be_read_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "hosts.yaml").write_text(text)
    with pytest.raises(InputError, match=r"hosts\.yaml cannot be (used|read)"):
        read_hosts(tmp_path)


@pytest.mark.parametrize("text", ["wire: 3", "external: [a]", "external: {a: b/c}", "[", "another: 1", "- 1"])
def test_a_network_node_that_cannot_be_read_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    assert read_node(tmp_path) == KnownNode()
    (tmp_path / "network.yaml").write_text(text)
    with pytest.raises(InputError, match=r"network\.yaml cannot be (used|read)"):
        read_node(tmp_path)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("qemu:///system", "127.0.0.1"),
        ("qemu+ssh://root@host-1/system", "host-1"),
        ("qemu+tls://[2001:db8::1]:16514/system?no_verify=1", "2001:db8::1"),
    ],
)
def test_where_other_hosts_reach_a_host_is_in_its_uri(uri: str, address: str) -> None:
    assert address_of(uri) == address


@pytest.mark.parametrize(
    ("address", "good"),
    [("192.0.2.1", True), ("2001:db8::1", True), ("127.0.0.1", False), ("::1", False), ("host-1", False)],
)
def test_an_address_that_other_hosts_do_not_reach_is_known(address: str, good: bool) -> None:
    assert _is_for_others(address) is good


@pytest.mark.parametrize("uri", ["", "host", "http://host/system", "qemu:///session", "xen:///system", "qemu+tcp://[x"])
def test_what_is_no_uri_of_a_host_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match="no address of a host"):
        address_of(uri)


def test_a_cloud_has_simulated_hosts_or_real_ones_and_keeps_to_that(tmp_path: Path) -> None:
    settings = app.Settings(state=str(tmp_path / "simulated"), seed=1)
    with app._opened(settings):
        assert app.is_served(settings.state)
    assert not app.is_served(settings.state)
    with pytest.raises(InputError, match="has simulated hosts"):
        app.check_takes_real_hosts(settings.state)
    with pytest.raises(InputError, match="another --backend"), app._opened(replace(settings, backend="libvirt")):
        pass
    app.check_takes_real_hosts(str(tmp_path / "real"))
    add(tmp_path / "real", A)
    for backend, why in ((None, "say --backend libvirt"), ("simulated", "choose another --state")):
        with pytest.raises(InputError, match=why):
            app.check(app.Settings(state=str(tmp_path / "real"), backend=backend), insecure=False)
    real = app.Settings(state=str(tmp_path / "real"), backend="libvirt")
    app.check(real, insecure=False)
    with app._opened(real) as state:
        assert state.beginning.fleet is None
    with app._opened(app.Settings(state=str(tmp_path / "real"))) as state:
        assert state.beginning.fleet is None
    assert not (tmp_path / "real/hosts.db").exists()
    app.check_takes_real_hosts(real.state)


def test_a_host_is_forgotten_where_no_cloud_is_served(tmp_path: Path) -> None:
    add(tmp_path, A, B)
    app.forget_host(str(tmp_path), "a")
    with app._opened(app.Settings(state=str(tmp_path), backend="libvirt")):
        pass
    app.forget_host(str(tmp_path), "b")
    assert read_hosts(tmp_path) == ()
