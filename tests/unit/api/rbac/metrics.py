"""Who may see metrics from another machine: our own. On the cloud's machine nobody needs a token for them."""

from tests.unit.api.rbac.personas import IDENTITY_WORDS, table

TABLE = table("sundog:metrics:show admin", IDENTITY_WORDS)
