"""``sundog host`` and ``sundog systemd-unit``: what they ask of a cloud and what they print."""

from __future__ import annotations

import configparser
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sundog.app.hosts import KnownHost, KnownNode, changing_hosts, read_hosts, read_node
from sundog.cli.host import Drain
from sundog.errors import InputError
from sundog.runtime import warp
from tests.unit.cli.conftest import Command

HOST = KnownHost(name="a", uri="qemu+tcp://192.0.2.1/system", uuid="a" * 32)


class Cloud:
    """Compute's API, as far as a drain asks it: servers that move when they are told to, if they can."""

    def __init__(self, **servers: str) -> None:
        self.servers = {
            name: {
                "id": name,
                "name": name,
                "created": "2024-01-01",
                "status": status,
                "OS-EXT-STS:task_state": None,
                "OS-EXT-SRV-ATTR:host": "a",
            }
            for name, status in servers.items()
        }
        self.asked: list[tuple[str, str]] = []
        self.stuck: set[str] = set()
        self.refusing: set[str] = set()

    def ask(self, method: str, service: str, path: str, body: Any = None) -> Any:
        assert service == "compute"
        if path.startswith("/servers/detail"):
            return {"servers": [each for each in self.servers.values() if each["OS-EXT-SRV-ATTR:host"] == "a"]}
        server = self.servers[path.split("/")[2]]
        if method == "GET":
            told = dict(server)
            if server["OS-EXT-STS:task_state"] == "migrating":  # it comes to its end
                server["OS-EXT-STS:task_state"] = None
            return {"server": told}
        (action,) = body
        self.asked.append((server["name"], action))
        if server["name"] in self.refusing:
            raise InputError("the cloud refuses it (409): no valid host was found")
        if action == "confirmResize":
            server["status"] = "SHUTOFF"
        elif server["name"] not in self.stuck:
            server["OS-EXT-SRV-ATTR:host"] = "b"
            server["OS-EXT-STS:task_state"] = "migrating"
            server["status"] = "VERIFY_RESIZE" if action == "migrate" else server["status"]
        return None


def drain(cloud: Cloud) -> tuple[list[str], list[str]]:
    said: list[str] = []

    async def main(_world: warp.World) -> list[str]:
        return await Drain(cloud.ask, "a", 60.0, said.append).run()

    return warp.run(main), said


def test_running_servers_move_live_and_stopped_ones_cold() -> None:
    cloud = Cloud(runs="ACTIVE", paused="PAUSED", stopped="SHUTOFF")
    left, said = drain(cloud)
    assert left == []
    assert cloud.asked == [
        ("runs", "os-migrateLive"),
        ("paused", "os-migrateLive"),
        ("stopped", "migrate"),
        ("stopped", "confirmResize"),
    ]
    assert said == [f"{name} ({name}): it is on host b" for name in ("runs", "paused", "stopped")]


def test_what_cannot_be_moved_is_left_and_said() -> None:
    cloud = Cloud(broken="ERROR", stuck="ACTIVE", refused="ACTIVE", last="ACTIVE")
    cloud.stuck, cloud.refusing = {"stuck"}, {"refused"}
    left, said = drain(cloud)
    assert left == ["broken", "stuck", "refused"]
    assert "cannot be moved" in said[0]
    assert "still here" in said[1]
    assert "no valid host" in said[2]
    assert "on host b" in said[3]


def test_a_server_that_is_busy_for_ever_holds_up_no_other() -> None:
    cloud = Cloud(busy="ACTIVE", last="ACTIVE")
    cloud.servers["busy"]["OS-EXT-STS:task_state"] = "rebuilding"
    with pytest.raises(InputError, match="still ACTIVE"):
        warp.run(lambda _world: Drain(cloud.ask, "a", 60.0, print)._settled("busy"))
    left, said = drain(cloud)
    assert left == ["busy"]
    assert "after 60 s" in said[0]
    assert "on host b" in said[1]


def test_what_needs_a_cloud_that_is_served_says_so(sundog: Command, tmp_path: Path) -> None:
    with changing_hosts(tmp_path) as hosts:
        hosts.append(HOST)
    for command in ("disable", "enable", "drain"):
        told = sundog("host", command, "a", "--state", tmp_path)
        assert told.code == 2
        assert "sundog serve --backend libvirt" in told.err
    assert "there is no host 'b'" in sundog("host", "drain", "b", "--state", tmp_path).err
    assert [each["state"] for each in sundog("host", "list", "--state", tmp_path, "--json").json["hosts"]] == [
        "unknown"
    ]
    assert "qemu+tcp" in sundog("host", "list", "--state", tmp_path).out
    assert sundog("host", "remove", "a", "--state", tmp_path).code == 0
    assert sundog("host", "list", "--state", tmp_path, "--json").json == {"cloud": None, "hosts": []}


def test_what_cannot_be_a_host_is_refused_before_anything_is_asked(sundog: Command, tmp_path: Path) -> None:
    told = sundog("host", "add", "http://host/", "--state", tmp_path / "new")
    assert (told.code, "no address of a host" in told.err) == (2, True)
    told = sundog("host", "add", "qemu:///system", "--virt-type", "xen", "--state", tmp_path / "new")
    assert (told.code, "use kvm or qemu" in told.err) == (2, True)
    assert not (tmp_path / "new").exists()


def unit_of(text: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(text)
    return unit


def test_a_unit_serves_the_cloud_of_its_folder(sundog: Command, tmp_path: Path) -> None:
    more = ("--listen", "[::]:443", "--certificate", "/c", "--key", "/k", "--user", "me")
    unit = unit_of(sundog("systemd-unit", "--state", tmp_path, *more).out)
    command = unit["Service"]["ExecStart"]
    assert f"serve --backend libvirt --state {tmp_path} --listen [::]:443 --certificate /c --key /k" in command
    assert unit["Service"]["ReadWritePaths"] == str(tmp_path)
    assert unit["Service"]["Environment"] == f"NUMBA_CACHE_DIR={tmp_path}/compiled"
    for wrong in (("--certificate", "/c"), ("--state", tmp_path / "a b"), ("--state", "/x\nUser=root")):
        assert sundog("systemd-unit", *wrong).code == 2


def test_a_unit_of_root_leaves_the_network_node_to_the_machine(sundog: Command, tmp_path: Path) -> None:
    service = unit_of(sundog("systemd-unit", "--state", tmp_path, "--user", "root").out)["Service"]
    assert service["KillMode"] == "process"
    assert not {"PrivateTmp", "ProtectSystem", "ProtectHome", "ProtectKernelTunables"} & set(service)


def test_the_network_node_is_what_was_said_last(sundog: Command, tmp_path: Path) -> None:
    here = ("--state", tmp_path)
    assert "wire: found by itself" in sundog("network-node", *here).out
    assert not (tmp_path / "network.yaml").exists()
    told = sundog("network-node", "--external", "public=br0", "--external", "lab=br1", *here)
    assert (told.code, "external: lab is on br1" in told.out) == (0, True)
    sundog("network-node", "--wire", "eth1", *here)
    assert read_node(tmp_path) == KnownNode(wire="eth1", external={"public": "br0", "lab": "br1"})
    sundog("network-node", "--wire", "", "--external", "public=br2", *here)
    assert read_node(tmp_path) == KnownNode(external={"public": "br2"})
    for wrong in (("--external", "public"), ("--wire", "a name that no card can have"), ("--external", "public=a/b")):
        assert sundog("network-node", *wrong, *here).code == 2
    assert read_node(tmp_path) == KnownNode(external={"public": "br2"})


def test_a_host_keeps_how_it_is_joined_to_others(tmp_path: Path) -> None:
    joined = HOST.model_copy(update={"wire": "eth1", "shell": ("ssh", "root@a", "--")})
    local = KnownHost(name="b", uri="qemu:///system", uuid="b" * 32)
    with changing_hosts(tmp_path) as hosts:
        hosts += [joined, local]
    assert read_hosts(tmp_path) == (joined, local)
    spec = joined.spec(node=True)
    assert (spec.wire, spec.shell, spec.filtered, spec.bridged) == ("eth1", ("ssh", "root@a", "--"), True, False)
    assert (local.spec().bridged, local.spec(node=True).bridged) == (False, True)


def test_what_switches_a_host_off_is_changed_and_never_shown(sundog: Command, tmp_path: Path) -> None:
    with changing_hosts(tmp_path) as hosts:
        hosts.append(HOST)
    change = partial(sundog, "host", "change", "a", "--state", tmp_path, "--fence")
    told = change("fence_redfish --ip 192.0.2.9 --password 'a canary'")
    assert (told.code, told.out) == (0, "Host a is switched off by fence_redfish.\n")
    assert read_hosts(tmp_path)[0].fence == ("fence_redfish", "--ip", "192.0.2.9", "--password", "a canary")
    assert "canary" not in repr(read_hosts(tmp_path))
    assert "canary" not in sundog("host", "list", "--json", "--state", tmp_path).out
    told = change("never 'ends")
    assert told.code == 2
    assert "--fence: No closing quotation" in told.err
    assert change("").out == "Host a is switched off by its owner alone.\n"
    assert read_hosts(tmp_path) == (HOST,)
