"""What tools/fuzz adds to schemathesis: tokens that are good, ids of things that are there, and one check more.

An id that nobody has is answered 404 before anything interesting happens. So the ids of all things that answers name
are kept, by the names of their kinds, and put into most of the paths and bodies to come. Which ones follows from what
was drawn, so that a seed asks the same things again as far as the cloud answers the same. And now and then a request
is followed by something that clients and operators do, see tools/fuzz_zoo.py.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import schemathesis

from tools.fuzz_zoo import Sender, Zoo, log_in

_TOLD = json.loads(os.environ["FUZZ"])
_KEPT = frozenset(_TOLD["kept"])
_MOST = 200
_SINGULAR = {
    "policies": "policy", "networks": "network", "statuses": "status", "interface": "port", "allocations": "server",
    "floating_ips": "floatingip", "tenant_networks": "network", "quota_sets": "project", "identity": "identity",
    "simple_tenant_usage": "project", "quotas": "project", "members": "project", "hosts": "host",
    "instanceActions": "instance_action",
}  # fmt: skip
_PATCHES = tuple(f"application/openstack-images-v2.{minor}-json-patch" for minor in (0, 1))
_REFERENCES = {
    "flavorRef": "flavor", "imageRef": "image", "rescue_image_ref": "image", "net_id": "network", "port": "port",
    "networkId": "network", "uuid": "network", "key_name": "keypair", "host": "host", "tenant": "project",
    "address": "address", "floating_ip_address": "address", "fixed_ip_address": "address", "group": "server_group",
}  # fmt: skip
"""What names of parts of bodies are about, besides those that end in ``_id``."""

_NAMED = {"OS-EXT-SRV-ATTR:host": "host", "hypervisor_hostname": "host", "floating_ip_address": "address",
          "ip_address": "address", "request_id": "instance_action"}  # fmt: skip
"""What tells, in answers, by which else a thing may be asked for."""

_KNOWN = {
    "inventory": ("VCPU", "MEMORY_MB", "DISK_GB"), "inventorie": ("VCPU", "MEMORY_MB", "DISK_GB"), "tag": ("t",),
    "trait": ("HW_CPU_X86_VMX",), "metadata": ("k",), "extra_spec": ("k",), "ip": ("zoo",),
}  # fmt: skip
_VERSIONED = {"compute": "compute", "placement": "placement"}
_WRITES = ("PUT", "PATCH", "DELETE")


class _State:
    """The token in use, ids by kind, statuses so far."""

    def __init__(self) -> None:
        self.token = ""
        self.ids: dict[str, list[str]] = {kind: list(names) for kind, names in _KNOWN.items()}
        self.statuses: Counter[str] = Counter()


_STATE = _State()
_ZOO = Zoo(
    Sender(_TOLD["url"], _TOLD["user"], _TOLD["scope"]), Sender(_TOLD["url"], **_TOLD["admin"]), _TOLD["seed"]
)  # fmt: skip


def _kind(plural: str) -> str:
    """``security-groups`` and ``security_groups`` are of one kind, ``security_group``."""
    name = plural.replace("-", "_").removeprefix("os_")
    return _SINGULAR.get(name, name.removesuffix("s"))


def _pick(kind: str, drawn: Any, *, harmless: bool) -> str | None:
    """An id of a thing of a kind, in three cases of four; none of those who ask, if it may be changed."""
    number = zlib.crc32(repr(drawn).encode())
    ids = [each for each in _STATE.ids.get(kind, ()) if harmless or each not in _KEPT]
    return ids[number // 4 % len(ids)] if ids and number % 4 else None


schemathesis.serializer.alias(_PATCHES, "application/json")


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Put ids of things that are there into the path and the body."""
    path = case.operation.path
    service = _VERSIONED.get(path.split("/")[1])
    if service is not None:
        # What is written down is the newest of each operation.
        case.headers = {**(case.headers or {}), "OpenStack-API-Version": f"{service} latest"}
    if case.path_parameters:
        harmless = case.operation.method.upper() not in _WRITES
        case.path_parameters = _on_path(path.split("/"), case.path_parameters, harmless=harmless)
    if isinstance(case.body, dict | list):
        case.body = _short_step(case.body) if path.endswith("/clock/step") else _with_ids(case.body)
    if path.endswith("/faults"):
        case.body = _no_failed_plug(case.body)


def _on_path(parts: list[str], drawn: dict[str, Any], *, harmless: bool) -> dict[str, Any]:
    """Ids by what comes before them in the path."""
    told = dict(drawn)
    for before, part in pairwise(parts):
        name = part.strip("{}")
        if part.startswith("{") and name in told:
            told[name] = _pick(_kind(before), told[name], harmless=harmless) or told[name]
    return told


def _with_ids(value: Any) -> Any:
    """Ids for whatever is called ``network_id`` and the like."""
    if isinstance(value, list):
        return [_with_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _with_id(name, each) for name, each in value.items()}


def _with_id(name: Any, value: Any) -> Any:
    if not isinstance(value, str) or not isinstance(name, str):
        return _with_ids(value)
    kind = _REFERENCES.get(name) or (name[:-3].removeprefix("floating_") if name.endswith("_id") else "")
    if kind in ("tenant", "device", "qos_policy"):
        kind = {"tenant": "project", "device": "server"}.get(kind, "")
    return _pick(kind, value, harmless=True) or value


def _no_failed_plug(body: Any) -> Any:
    """An attachment whose host fails, and not merely is down, is a 500 as it is Nova's: that is not to be ordered."""
    fault = body.get("fault") if isinstance(body, dict) else None
    if not isinstance(fault, dict) or fault.get("operation") != "plug":
        return body
    return {**body, "fault": {**fault, "operation": "unplug"}}


def _short_step(body: Any) -> Any:
    """A step that is over while the client waits: as long as was drawn, up to an hour."""
    step = body.get("step") if isinstance(body, dict) else None
    seconds = step.get("seconds") if isinstance(step, dict) else None
    return body if not isinstance(seconds, int | float) else {"step": step | {"seconds": min(seconds, 3600)}}


@schemathesis.auth(refresh_interval=None)
class _GoodToken:
    """A good token, where a token is to be sent at all."""

    def get(self, case: Any, context: Any) -> str:
        _STATE.token = _STATE.token or log_in(_TOLD["url"], _TOLD["user"], _TOLD["scope"])[0]
        return _STATE.token

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers["X-Auth-Token"] = data


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count the answer, keep the ids that it names, and log in again if the token has ended."""
    _STATE.statuses[str(response.status_code)] += 1
    if response.status_code == 401 and case.headers and case.headers.get("X-Auth-Token") == _STATE.token:
        _STATE.token = ""
    if sum(_STATE.statuses.values()) % 50 == 1:
        Path(_TOLD["counts"]).write_text(json.dumps(_STATE.statuses), encoding="utf-8")
    if _TOLD["stirred"] and sum(_STATE.statuses.values()) % _TOLD["stirred"] == 0:
        _ZOO.stir()
    if response.status_code in (200, 201, 202) and "json" in (response.headers.get("content-type") or [""])[0]:
        _keep(response.json())


def _keep(value: Any, kind: str = "") -> None:
    if isinstance(value, list):
        for each in value:
            _keep(each, kind)
    elif isinstance(value, dict):
        _note(kind, value.get("id", value.get("uuid", value.get("name"))))
        for name, each in value.items():
            _note(_NAMED.get(name, ""), each)
            _keep(each, _kind(name))


def _note(kind: str, identifier: Any) -> None:
    if isinstance(identifier, int) and not isinstance(identifier, bool):
        identifier = str(identifier)
    if kind and isinstance(identifier, str) and re.fullmatch(r"[\w.:-]+", identifier):
        ids = _STATE.ids.setdefault(kind, [])
        if identifier not in ids:
            ids.append(identifier)
            del ids[:-_MOST]


@schemathesis.check
def no_stack_trace(ctx: Any, response: Any, case: Any) -> None:
    """No answer tells where in the code it was made."""
    text = response.content.decode(errors="replace")  # what is downloaded may be anything
    found = re.search(r'Traceback \(most recent|File \\?"[^"]*\.py\\?", line|sqlalchemy|sqlite3\.', text)
    assert found is None, f"an answer has a part of a stack trace: {found and found.group()!r}"
