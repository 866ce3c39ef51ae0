"""Who may do what with the cloud itself: our own."""

from tests.unit.api.rbac.personas import IDENTITY_WORDS, table

TABLE = table(
    """
    sundog:clock:show    anybody
    sundog:clock:set     admin
    sundog:fleet:list    admin
    sundog:capabilities:show  anybody
    sundog:fleet:add     admin
    sundog:fleet:drain   admin
    sundog:faults:list   admin
    sundog:faults:order  admin
    sundog:events:watch  admin
    sundog:wires:show    admin
    sundog:servers:placement        admin, own-project
    sundog:servers:placement:hosts  admin
    """,
    IDENTITY_WORDS,
)
