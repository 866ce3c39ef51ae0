"""What tools/fuzz asks for beside what schemathesis makes up: servers, images and hosts in every state, all the time.

Requests that are made up at random hardly ever meet a server that is paused, on a host that died or just evacuated.
So before each part there is a server for each state, and while it runs, some requests are followed by a stir: something
that an ordinary client or an operator would ask. Which, follows from the seed.
"""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

_TIMEOUT = 60.0
_PATIENCE = 60.0
_RATE = 60

ACTIONS: dict[str, Any] = {
    "os-stop": None, "os-start": None, "pause": None, "unpause": None, "suspend": None, "resume": None, "rescue": {},
    "unrescue": None, "shelve": None, "unshelve": None, "shelveOffload": None, "lock": None, "unlock": None,
    "confirmResize": None, "revertResize": None, "migrate": None, "reboot": {"type": "HARD"},
    "resize": {"flavorRef": "2"}, "os-resetState": {"state": "error"}, "createImage": {"name": "i"},
    "createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}, "changePassword": {"adminPass": "secret"},
    "os-migrateLive": {"host": None, "block_migration": "auto"}, "evacuate": {}, "os-getConsoleOutput": {},
}  # fmt: skip
"""What is asked of servers, with what it says."""

STATES: tuple[tuple[str, ...], ...] = (
    (), ("os-stop",), ("pause",), ("suspend",), ("shelve",), ("rescue",), ("resize",), ("lock",), ("os-resetState",),
)  # fmt: skip
"""What is asked of a new server so that there is one in each state."""

_HOST_FAULTS = ("kill", "fence", "partition")


class Sender:
    """Requests of one person, who logs in again when the token has ended. What is refused is None."""

    def __init__(self, url: str, user: dict[str, Any], scope: dict[str, Any]) -> None:
        self._url, self._user, self._scope = url, user, scope
        self._token = ""

    def __call__(self, method: str, path: str, body: Any = None, media: str = "application/json") -> Any:
        """The body of the answer; None if it has none or the request was refused."""
        for _ in range(2):
            self._token = self._token or log_in(self._url, self._user, self._scope)[0]
            try:
                return self._sent(method, path, body, media)
            except urllib.error.HTTPError as error:
                if error.code != 401:
                    return None
                self._token = ""
        return None

    def _sent(self, method: str, path: str, body: Any, media: str) -> Any:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": media, "X-Auth-Token": self._token, "OpenStack-API-Version": "compute 2.90"}
        request = urllib.request.Request(self._url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
            return json.loads(answer.read() or b"null")


def log_in(url: str, user: dict[str, Any], scope: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A token and what it says."""
    identity = {"methods": ["password"], "password": {"user": user}}
    data = json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()
    request = urllib.request.Request(f"{url}/identity/v3/auth/tokens", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
        return answer.headers["X-Subject-Token"], json.load(answer)["token"]


class Zoo:
    """Things of one person's project, and the hosts under them, which an administrator has a hand in."""

    def __init__(self, send: Sender, admin: Sender, seed: int) -> None:
        self._send, self._admin, self._chance = send, admin, random.Random(seed)

    def fill(self) -> None:
        """A thing of each kind, and a server in each state. Raises: RuntimeError if the cloud makes none."""
        self.mend()
        self._network()
        self._image()
        for kind, path, body in (
            ("router", "/network/v2.0/routers", {"name": "r"}),
            ("keypair", "/compute/v2.1/os-keypairs", {"name": "k"}),
            ("server_group", "/compute/v2.1/os-server-groups", {"name": "g", "policy": "soft-affinity"}),
        ):
            self._send("POST", path, {kind: body})
        self._ports()
        made = [each for each in (self._server() for _ in STATES) if each is not None]
        self._wait_for(made)
        for server, actions in zip(made, STATES, strict=False):
            for action in actions:
                self._act(server, action)
        self._wait_for(made)

    def stir(self) -> None:
        """One thing that somebody might do, of which most is done to servers."""
        ways: list[Callable[[], Any]] = [
            self._server, self._push, self._push, self._push, self._image, self._ports, self._strike, self.mend,
        ]  # fmt: skip
        self._chance.choice(ways)()

    def mend(self) -> None:
        """Hosts are up and take servers, nothing fails on order, time goes on, and quotas are what they were."""
        admin = self._admin
        for kind in ("heal", "revive"):
            admin("POST", "/sundog/v1/faults", {"fault": {"kind": kind, "scope": {}}})
        for order in (admin("GET", "/sundog/v1/faults") or {}).get("faults", ()):
            admin("DELETE", f"/sundog/v1/faults/{order['id']}")
        admin("POST", "/sundog/v1/fleet/undrain", {"undrain": {"scope": {}}})
        for service in (admin("GET", "/compute/v2.1/os-services") or {}).get("services", ()):
            if service["forced_down"]:
                admin("PUT", f"/compute/v2.1/os-services/{service['id']}", {"forced_down": False})
        for project in (admin("GET", "/identity/v3/projects") or {}).get("projects", ()):
            admin("DELETE", f"/compute/v2.1/os-quota-sets/{project['id']}")
            admin("DELETE", f"/network/v2.0/quotas/{project['id']}")
        admin("PUT", "/sundog/v1/clock", {"clock": {"rate": _RATE}})

    # ---- what there is

    def _one_of(self, path: str, name: str) -> dict[str, Any] | None:
        found = (self._send("GET", path) or {}).get(name, ())
        return self._chance.choice(found) if found else None

    def _network(self) -> Any:
        made = self._send("POST", "/network/v2.0/networks", {"network": {"name": "zoo"}})
        if made is not None:
            subnet = {"network_id": made["network"]["id"], "ip_version": 4, "cidr": "10.77.0.0/16"}
            self._send("POST", "/network/v2.0/subnets", {"subnet": subnet})
        return made

    def _server(self) -> str | None:
        """A server that is being built; its id."""
        network = self._one_of("/network/v2.0/networks?name=zoo", "networks") or (self._network() or {}).get("network")
        image = self._one_of("/image/v2/images?name=zoo&status=active", "images") or self._image()
        if network is None or image is None:
            return None
        server = {"name": "zoo", "flavorRef": "1", "imageRef": image["id"], "networks": [{"uuid": network["id"]}]}
        made = self._send("POST", "/compute/v2.1/servers", {"server": server})
        return None if made is None else str(made["server"]["id"])

    def _wait_for(self, servers: list[str]) -> None:
        """Until nothing is under way on any of them, or for a minute."""
        until = time.monotonic() + _PATIENCE
        for server in servers:
            while time.monotonic() < until:
                told = (self._send("GET", f"/compute/v2.1/servers/{server}") or {}).get("server", {})
                if told.get("OS-EXT-STS:task_state") is None:
                    break
                time.sleep(0.2)

    def _act(self, server: str, action: str) -> Any:
        send = self._admin if action in ("os-resetState", "migrate", "os-migrateLive", "evacuate") else self._send
        return send("POST", f"/compute/v2.1/servers/{server}/action", {action: ACTIONS[action]})

    def _push(self) -> None:
        server = self._one_of("/compute/v2.1/servers", "servers")
        if server is not None:
            self._act(server["id"], self._chance.choice(list(ACTIONS)))

    def _image(self) -> Any:
        """An image that can be booted; with it one that waits for its data and one that nobody may read."""
        raw = {"name": "zoo", "disk_format": "raw", "container_format": "bare"}
        made = [self._send("POST", "/image/v2/images", raw) for _ in range(3)]
        for each in made[:2]:
            if each is not None:
                self._send("PUT", f"/image/v2/images/{each['id']}/file", b"x" * 1000, "application/octet-stream")
        if made[1] is not None:
            self._admin("POST", f"/image/v2/images/{made[1]['id']}/actions/deactivate")
        return made[0]

    def _ports(self) -> None:
        """A port that is free, and a floating IP that leads to one that is a server's."""
        network = self._one_of("/network/v2.0/networks?name=zoo", "networks")
        if network is not None:
            self._send("POST", "/network/v2.0/ports", {"port": {"network_id": network["id"]}})
        public = self._one_of("/network/v2.0/networks?router:external=true", "networks")
        port = self._one_of("/network/v2.0/ports?device_owner=compute:nova", "ports")
        if public is not None:
            leads = {} if port is None else {"port_id": port["id"]}
            self._send(
                "POST", "/network/v2.0/floatingips", {"floatingip": {"floating_network_id": public["id"], **leads}}
            )

    def _strike(self) -> None:
        hosts = (self._admin("GET", "/sundog/v1/fleet/hosts") or {}).get("hosts", ())
        if hosts:
            fault = {"kind": self._chance.choice(_HOST_FAULTS), "scope": {"host": self._chance.choice(hosts)["name"]}}
            self._admin("POST", "/sundog/v1/faults", {"fault": fault})
