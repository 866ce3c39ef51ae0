"""Who may do what with the cloud itself: our own."""

from tests.unit.api.rbac.personas import IDENTITY_WORDS, table

TABLE = table(
    """
    sundog:clock:show    anybody
    sundog:clock:set     admin
    """,
    IDENTITY_WORDS,
)
