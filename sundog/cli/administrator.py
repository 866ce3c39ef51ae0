"""The administrator of a cloud that is being served, for commands that ask it over its API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sundog.cli.tempest_conf import Send, log_in, read_clouds, sender
from sundog.errors import InputError

_VERSION: Final = "compute 2.96"


class Administrator:
    """Asks a cloud, as its ``clouds.yaml`` says. Raises: InputError if nobody answers, or answers with an error."""

    def __init__(self, folder: Path, send: Send | None = None) -> None:
        access = read_clouds(folder / "clouds.yaml", "sundog")
        self._send = send or sender(access)
        self._token, told = log_in(access, self._send)
        self._at: Mapping[str, str] = {
            each["type"]: endpoint["url"].rstrip("/")
            for each in told["catalog"]
            for endpoint in each["endpoints"]
            if endpoint["interface"] == "public"
        }

    def ask(self, method: str, service: str, path: str, body: Any = None) -> Any:
        """What a service answers: a dict, None if it says nothing. ``body`` is bytes, or what becomes JSON."""
        headers = {"X-Auth-Token": self._token, "OpenStack-API-Version": _VERSION}
        if isinstance(body, bytes):
            data, headers["Content-Type"] = body, "application/octet-stream"
        elif body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        else:
            data = None
        answer = self._send(method, f"{self._at[service]}{path}", headers, data)
        if answer.status >= 400:
            raise InputError(f"the cloud refuses {method} {path} ({answer.status}): {_reason(answer.body)}")
        return answer.body


def _reason(body: Any) -> str:
    """What a fault says, whatever service it is of."""
    if isinstance(body, dict):
        for inner in body.values():
            if isinstance(inner, dict) and isinstance(inner.get("message"), str):
                return str(inner["message"])
    return "it does not say why"
