"""What tools/fuzz adds to schemathesis: tokens that are good, ids of things that are there, and one check more.

An id that nobody has is answered 404 before anything interesting happens. So the ids of all things that answers name
are kept, by the names of their kinds, and put into most of the paths and bodies to come. Which ones follows from what
was drawn, so that a seed asks the same things again as far as the cloud answers the same.
"""

from __future__ import annotations

import json
import os
import re
import urllib.request
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import schemathesis

_TOLD = json.loads(os.environ["FUZZ"])
_KEPT = frozenset(_TOLD["kept"])
_MOST = 200
_SINGULAR = {"policies": "policy", "networks": "network", "statuses": "status"}
_PATCHES = tuple(f"application/openstack-images-v2.{minor}-json-patch" for minor in (0, 1))
_REFERENCES = {"flavorRef": "flavor", "imageRef": "image"}
_VERSIONED = {"compute": "compute", "placement": "placement"}
_WRITES = ("PUT", "PATCH", "DELETE")


class _State:
    """The token in use, ids by kind, statuses so far."""

    def __init__(self) -> None:
        self.token = ""
        self.ids: dict[str, list[str]] = {}
        self.statuses: Counter[str] = Counter()


_STATE = _State()


def _log_in() -> str:
    identity = {"methods": ["password"], "password": {"user": _TOLD["user"]}}
    data = json.dumps({"auth": {"identity": identity, "scope": _TOLD["scope"]}}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{_TOLD['url']}/identity/v3/auth/tokens", data, headers)
    with urllib.request.urlopen(request) as answer:
        return str(answer.headers["X-Subject-Token"])


def _kind(plural: str) -> str:
    """``security-groups`` and ``security_groups`` are of one kind, ``security_group``."""
    name = plural.replace("-", "_")
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
    return _pick(kind, value, harmless=True) or value


def _short_step(body: Any) -> Any:
    """A step that is over while the client waits: as long as was drawn, up to an hour."""
    step = body.get("step") if isinstance(body, dict) else None
    seconds = step.get("seconds") if isinstance(step, dict) else None
    return body if not isinstance(seconds, int | float) else {"step": step | {"seconds": min(seconds, 3600)}}


@schemathesis.auth(refresh_interval=None)
class _GoodToken:
    """A good token, where a token is to be sent at all."""

    def get(self, case: Any, context: Any) -> str:
        _STATE.token = _STATE.token or _log_in()
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
    if response.status_code in (200, 201, 202) and "json" in (response.headers.get("content-type") or [""])[0]:
        _keep(response.json())


def _keep(value: Any, kind: str = "") -> None:
    if isinstance(value, list):
        for each in value:
            _keep(each, kind)
    elif isinstance(value, dict):
        identifier = value.get("id", value.get("uuid"))
        if kind and isinstance(identifier, str) and re.fullmatch(r"[\w-]+", identifier):
            ids = _STATE.ids.setdefault(kind, [])
            if identifier not in ids:
                ids.append(identifier)
                del ids[:-_MOST]
        for name, each in value.items():
            _keep(each, _kind(name))


@schemathesis.check
def no_stack_trace(ctx: Any, response: Any, case: Any) -> None:
    """No answer tells where in the code it was made."""
    found = re.search(r'Traceback \(most recent|File \\?"[^"]*\.py\\?", line|sqlalchemy|sqlite3\.', response.text)
    assert found is None, f"an answer has a part of a stack trace: {found and found.group()!r}"
