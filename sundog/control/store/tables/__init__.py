"""The tables, one module a service, and the types of their columns.

A module here defines its tables on ``metadata`` and is registered by being here::

    from sqlalchemy import Column, Table, UniqueConstraint
    from sundog.control.store.tables import Id, Json, Text, UtcDateTime, metadata

    keypairs = Table(
        "keypairs",
        metadata,
        Column("id", Id, primary_key=True),
        Column("name", Text, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("extra", Json, nullable=False),
        UniqueConstraint("name"),
    )

Use the types below, which are alike on every database: values come back as they went in, texts sort by code point, no
length is enforced (that is the API's affair). ``Boolean``, ``Double`` and ``LargeBinary`` are SQLAlchemy's own. Every
table has a primary key. Names of constraints and indexes follow from the convention and are left out.

A new table or column needs a migration: see ``sundog.control.store.migrations``.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, String, TypeDecorator

from sundog.errors import Invalid

metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def load() -> MetaData:
    """``metadata`` with the tables of every module in this package."""
    for module in sorted(each.name for each in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return metadata


Int: Final = BigInteger().with_variant(Integer(), "sqlite")
"""A whole number of 64 bits. As a single primary key it is numbered by the database."""


class Text(TypeDecorator[str]):
    """Text of any length in Unicode, sorted by code point. A NUL is ``Invalid``, as PostgreSQL has no place for it.

    In an index PostgreSQL takes about 2,700 bytes, and calls more ``Invalid``.
    """

    impl = String
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """PostgreSQL would otherwise sort by the collation that the database was made with."""
        return dialect.type_descriptor(String(collation="C" if dialect.name == "postgresql" else None))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Checked, unchanged."""
        if value is None:
            return None
        if not isinstance(value, str):
            raise TypeError(f"a column of text takes str, not {type(value).__name__}")
        if "\0" in value:
            raise Invalid("a text holds the character NUL, which cannot be stored; leave it out")
        return value


class Id(Text):
    """An identifier as OpenStack writes it: a UUID with or without hyphens, or a word such as ``default``."""

    cache_ok = True


class UtcDateTime(TypeDecorator[datetime]):
    """An instant to the microsecond. Takes any aware ``datetime`` and gives it back in UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """In UTC, without saying so: no database has to know about zones."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError(f"{value!r} has no time zone; take times from sundog.runtime.clock")
        try:
            return value.astimezone(UTC).replace(tzinfo=None)
        except OverflowError as error:
            raise Invalid(f"{value} is before the year 1 or after 9999 in UTC and cannot be stored") from error

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware again."""
        return None if value is None else value.replace(tzinfo=UTC)


class Json(TypeDecorator[Any]):
    """Anything of JSON's types, as text; for what is never searched. None is NULL. Tuples come back as lists."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Escaped to ASCII, so that every string passes, also with a NUL or half a surrogate pair."""
        if value is None:
            return None
        try:
            return json.dumps(value, allow_nan=False, separators=(",", ":"))
        except ValueError as error:
            raise Invalid(f"a value cannot be kept as JSON: {error}") from error

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """A fresh object each time."""
        return None if value is None else json.loads(value)
