"""The clock over HTTP, in a world."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest

from sundog.api.kit.application import application
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.sundog import SERVICE
from sundog.control.clock import Clock
from sundog.runtime import warp
from tests.unit.api.kit.sample import authenticate


class Cloud:
    """A control plane that is a clock and nothing else."""

    def __init__(self) -> None:
        self.clock = Clock()


def answer(method: str, path: str, *, token: str = "admin", rate: float = 60.0, **options: Any) -> httpx.Response:
    app = application([SERVICE], Desk(Cloud(), Policy(SERVICE.rules), authenticate, lambda: "req-1"))

    async def main(_world):
        transport = httpx.ASGITransport(app=app)
        headers = {"x-auth-token": token}
        async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
            return await client.request(method, path, **options)

    return warp.run(main, rate=rate)


def test_everybody_may_look_at_the_clock():
    told = answer("GET", "/sundog/v1/clock", token="reader-a").json()["clock"]
    assert told["rate"] == 60.0
    assert told["time"].startswith("2024-01-01T00:0")
    assert told["time"].endswith("Z")
    assert answer("GET", "/sundog/v1/clock", token="nobody").status_code == 401


def test_an_administrator_sets_the_rate():
    assert answer("PUT", "/sundog/v1/clock", json={"clock": {"rate": 0}}).json()["clock"]["rate"] == 0.0
    assert answer("PUT", "/sundog/v1/clock", json={"clock": {"rate": 5}}, token="member-a").status_code == 403
    for wrong in ({"rate": -1}, {"rate": 1e9}, {"rate": "Infinity"}, {"rate": 1, "time": "now"}, {}):
        assert answer("PUT", "/sundog/v1/clock", json={"clock": wrong}).status_code == 400


@pytest.mark.parametrize("step", [{"seconds": 7200}, {"until": "2024-01-01T02:00:00Z"}])
def test_an_administrator_steps_to_an_instant_and_time_stands_still_there(step):
    told = answer("POST", "/sundog/v1/clock/step", json={"step": step}).json()["clock"]
    assert told["rate"] == 0.0
    assert told["time"].startswith("2024-01-01T02:0")


def test_a_step_that_does_not_lead_ahead_or_leads_beyond_a_century_is_refused():
    for wrong in (
        {}, {"seconds": 0}, {"seconds": 1, "until": "2024-01-01T02:00:00Z"},
        {"until": "2024-01-01T02:00:00"}, {"until": "2020-01-01T00:00:00Z"},
        {"seconds": 1e300}, {"until": "9999-12-31T23:59:59Z"},
    ):  # fmt: skip
        assert answer("POST", "/sundog/v1/clock/step", json={"step": wrong}).status_code == 400
    assert answer("POST", "/sundog/v1/clock/step", json={"step": {"seconds": 1}}, token="reader-a").status_code == 403
