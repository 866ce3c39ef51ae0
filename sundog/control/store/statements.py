"""Statements of the common forms, made once: making a statement takes longer than running it.

A condition is of the common form if it says what values columns have. Whatever is not goes its ordinary way.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

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
    func,
    insert,
    select,
    update,
)
from sqlalchemy.sql.elements import BinaryExpression

Condition: TypeAlias = ColumnElement[bool] | Mapping[str, Any]
"""A condition in SQLAlchemy's language: ``servers.c.project_id == project_id``; or the values of columns by their
names, ``{"project_id": project_id}``, where None is no value and a list or tuple has the values of which one is there.
The latter is the faster one."""

Asked: TypeAlias = tuple[tuple[str, int], ...]
"""Names of columns, each with how many values it may have; 0 is for none at all."""

# Of parameters: SQLAlchemy keeps the names of columns for itself.
_IS, _SET = "is_", "set_"


def equalities(table: Table, where: Sequence[Condition]) -> tuple[Asked, dict[str, Any]] | None:
    """What ``where`` asks of columns, and the values as parameters; None if it asks anything else than values."""
    told: dict[str, Any] = {}
    for each in where:
        named = each if isinstance(each, Mapping) else _equality(table, each)
        if named is None or not told.keys().isdisjoint(named):
            return None
        told |= named
    return None if [] in told.values() or () in told.values() else parameters(told)


def parameters(equals: Mapping[str, Any]) -> tuple[Asked, dict[str, Any]]:
    """Values of columns as what is asked, and as parameters."""
    asked: list[tuple[str, int]] = []
    values: dict[str, Any] = {}
    for name, value in equals.items():
        if isinstance(value, list | tuple):
            several = _padded(value)
            asked.append((name, len(several)))
            values |= {f"{_IS}{name}_{index}": each for index, each in enumerate(several)}
        elif value is None:
            asked.append((name, 0))
        else:
            asked.append((name, 1))
            values[f"{_IS}{name}_0"] = value
    return tuple(asked), values


def conditions(table: Table, where: Sequence[Condition]) -> list[ColumnElement[bool]]:
    """``where`` in SQLAlchemy's language."""
    found: list[ColumnElement[bool]] = []
    for each in where:
        if not isinstance(each, Mapping):
            found.append(each)
            continue
        for name, value in each.items():
            column = table.c[name]
            found.append(column.in_(value) if isinstance(value, list | tuple) else column == value)
    return found


def assignments(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Values to be set, as parameters; None if one is an expression."""
    if any(isinstance(value, ClauseElement) for value in values.values()):
        return None
    return {_SET + name: value for name, value in values.items()}


@functools.lru_cache(maxsize=256)
def inserting(table: Table) -> Insert:
    """Adds rows."""
    return insert(table).inline()


@functools.lru_cache(maxsize=256)
def inserting_numbered(table: Table) -> Insert:
    """Adds a row and gives its primary key."""
    return insert(table).returning(*table.primary_key.columns)


@functools.lru_cache(maxsize=1024)
def selecting(table: Table, asked: Asked, order_by: tuple[ColumnElement[Any], ...] = ()) -> Select[Any]:
    """Rows by equalities, in an order if one is told."""
    return select(table).where(*_conditions(table, asked)).order_by(*order_by)


@functools.lru_cache(maxsize=256)
def counting(table: Table, asked: Asked) -> Select[Any]:
    """How many rows there are by equalities, as ``count``."""
    return select(func.count().label("count")).select_from(table).where(*_conditions(table, asked))


@functools.lru_cache(maxsize=1024)
def updating(table: Table, asked: Asked, assigned: tuple[str, ...]) -> Update:
    """Sets values where equalities hold."""
    values: dict[str, Any] = {name.removeprefix(_SET): bindparam(name) for name in assigned}
    return update(table).where(*_conditions(table, asked)).values(values)


@functools.lru_cache(maxsize=256)
def deleting(table: Table, asked: Asked) -> Delete:
    """Removes rows by equalities."""
    return delete(table).where(*_conditions(table, asked))


def _equality(table: Table, condition: ColumnElement[bool]) -> Mapping[str, Any] | None:
    """What value a condition asks of a column; None if it asks anything else."""
    if type(condition) is not BinaryExpression or condition.operator is not operator.eq:
        return None
    column, value = condition.left, condition.right
    if type(value) is not BindParameter or not isinstance(column, Column) or column.table is not table:
        return None
    return None if value.value is None else {column.name: value.value}


def _padded(values: Sequence[Any]) -> list[Any]:
    """As many values as a power of two, so that there are few statements; the last one is repeated."""
    most = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (most - len(values))]


def _conditions(table: Table, asked: Asked) -> list[ColumnElement[bool]]:
    return [_condition(table.c[name], several) for name, several in asked]


def _condition(column: Column[Any], several: int) -> ColumnElement[bool]:
    values = [bindparam(f"{_IS}{column.name}_{index}", type_=column.type) for index in range(several)]
    if not values:
        return column.is_(None)
    # Of each its own parameter: one for all of them would be text that depends on how many they are.
    return column == values[0] if several == 1 else column.in_(values)
