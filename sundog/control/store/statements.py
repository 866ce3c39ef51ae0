"""Statements of the common forms, made once: making a statement takes longer than running it.

A condition is of the common form if it says that a column has a value. Whatever is not goes its ordinary way.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BindParameter,
    ClauseElement,
    Column,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    Update,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.sql.elements import BinaryExpression

# Of parameters: SQLAlchemy keeps the names of columns for itself.
_IS, _SET = "is_", "set_"


def equalities(table: Table, where: Sequence[ColumnElement[bool]]) -> dict[str, Any] | None:
    """The values that ``where`` asks of columns, as parameters; None if it asks anything else."""
    values: dict[str, Any] = {}
    for each in where:
        if type(each) is not BinaryExpression or each.operator is not operator.eq:
            return None
        column, value = each.left, each.right
        if type(value) is not BindParameter or not isinstance(column, Column) or column.table is not table:
            return None
        name = _IS + column.name
        if name in values or value.value is None:
            return None
        values[name] = value.value
    return values


def assignments(values: dict[str, Any]) -> dict[str, Any] | None:
    """Values to be set, as parameters; None if one is an expression."""
    if any(isinstance(value, ClauseElement) for value in values.values()):
        return None
    return {_SET + name: value for name, value in values.items()}


@functools.lru_cache(maxsize=256)
def inserting(table: Table) -> Insert:
    """Adds rows."""
    return insert(table)


@functools.lru_cache(maxsize=1024)
def selecting(table: Table, parameters: tuple[str, ...]) -> Select[Any]:
    """Rows by equalities, by primary key."""
    return select(table).where(*_conditions(table, parameters)).order_by(*table.primary_key.columns)


@functools.lru_cache(maxsize=1024)
def updating(table: Table, parameters: tuple[str, ...], assigned: tuple[str, ...]) -> Update:
    """Sets values where equalities hold."""
    values: dict[str, Any] = {name.removeprefix(_SET): bindparam(name) for name in assigned}
    return update(table).where(*_conditions(table, parameters)).values(values)


@functools.lru_cache(maxsize=256)
def deleting(table: Table, parameters: tuple[str, ...]) -> Delete:
    """Removes rows by equalities."""
    return delete(table).where(*_conditions(table, parameters))


@functools.lru_cache(maxsize=1024)
def selecting_one(table: Table, names: tuple[str, ...], unset: tuple[str, ...]) -> Select[Any]:
    """Rows by the values of ``names``, which are the parameters; ``unset`` are those that have none."""
    return select(table).where(*(table.c[name] == (None if name in unset else bindparam(name)) for name in names))


def _conditions(table: Table, parameters: tuple[str, ...]) -> list[ColumnElement[bool]]:
    return [table.c[name.removeprefix(_IS)] == bindparam(name) for name in parameters]
