"""Facts about the deployment as a whole: one text a key, such as the id that it was given when it was made."""

from __future__ import annotations

from sqlalchemy import Column, Table

from sundog.control.store.tables import Text, metadata

meta = Table(
    "meta",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
