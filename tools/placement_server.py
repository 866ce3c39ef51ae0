"""A server of Placement alone, with nothing in it, for the conformance suite: tools/placement_server.py PORT POLICY.

It believes whoever asks (``noauth2``), so it listens on the loopback interface only. It serves at the root of the port,
as the suite expects. POLICY is ``defaults``; ``deprecated``, which lets administrators do what their deprecated rules
let them; or ``open``, which lets everybody do everything.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import uvicorn

from sundog.api.kit.application import application
from sundog.api.kit.noauth import noauth2
from sundog.api.kit.policy import Policy
from sundog.api.kit.service import Desk
from sundog.api.placement import SERVICE
from sundog.api.placement.policy import ADMIN_OR_SERVICE, RESHAPE
from sundog.control.placement import Placement
from sundog.control.principal import Principal
from sundog.control.store import open_store
from sundog.core.pool import Pool
from sundog.errors import Unauthorized
from sundog.runtime.ids import Ids

HOST = "127.0.0.1"
OVERRIDES = {
    "defaults": {},
    "deprecated": {RESHAPE.name: ADMIN_OR_SERVICE},
    "open": {rule.name: "@" for rule in SERVICE.rules},
}


def main(port: int, policy: str) -> None:
    """Serve until interrupted."""
    ids = Ids(np.random.default_rng())
    store = open_store(":memory:")
    store.migrate()
    cloud = SimpleNamespace(placement=Placement(store, Pool(), new_uuid=ids.uuid))
    desk = Desk(
        cloud,
        Policy(SERVICE.rules, OVERRIDES[policy]),
        no_tokens,
        lambda: f"req-{ids.uuid()}",
        noauth2(HOST),
    )
    uvicorn.run(application([SERVICE.at("")], desk), host=HOST, port=port, log_level="warning", access_log=False)


def no_tokens(_token: str) -> Principal:
    """Tokens are not looked at in this mode."""
    raise Unauthorized("The request you have made requires authentication.")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
