"""Reading Parquet and CSV tables so that a bad value can be named by file and line.

pandas would turn an empty cell into NaN and hide which of the two a file had; Arrow keeps null and NaN apart. Every
cell of a CSV file is read as text first: only then can the first cell that is no number be found and shown.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from sundog.errors import InputError
from sundog.scenarios.traces.model import nearest, suggest

_WHOLE = r"^(0|-?[1-9][0-9]{0,17})$"  # what int64 holds for certain and prints back as it was: 007 stays text
_UNIT = {pa.types.is_boolean: "true/false", pa.types.is_temporal: "dates or times"}


@dataclass(frozen=True, slots=True)
class Source:
    """A table that was read, and how to name one of its rows.

    ``first_line``: the line of the file that holds row 0; None where a file has no lines, and rows count from 1.
    ``of``: the table within the file, where it has several.
    """

    path: Path
    table: pa.Table
    first_line: int | None
    of: str = ""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def error(self, row: int, message: str) -> InputError:
        """The error to raise for ``row`` (from 0)."""
        if self.first_line is not None:
            return InputError(message, path=self.path, line=self.first_line + row)
        return InputError(f"{self.of} row {row + 1}: {message}".lstrip(), path=self.path, row=row + 1)

    def refuse(self, bad: np.ndarray, message: Callable[[int], str]) -> None:
        """Raise for the first true row of ``bad``; ``message`` is given the row."""
        if bad.any():
            row = int(np.argmax(bad))
            raise self.error(row, message(row))

    def has(self, name: str) -> bool:
        """Whether there is a column ``name``."""
        return name in self.table.column_names

    def require(self, names: Sequence[str]) -> None:
        """Raises: InputError where a column of ``names`` is missing or there is no row."""
        found = self.table.column_names
        missing = [name for name in names if name not in found]
        if missing:
            listed = ", ".join(found) if found else "none"
            raise InputError(
                f"missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)};"
                f" {nearest(missing[0], found)}found {listed}",
                path=self.path,
                line=None if self.first_line is None else 1,
                missing=missing,
            )
        if not len(self):
            raise InputError("the file has columns but not one row; was it cut short?", path=self.path)

    def number(
        self,
        name: str,
        *,
        missing: float | None = None,
        above: float | None = None,
        least: float | None = None,
        most: float | None = None,
    ) -> np.ndarray:
        """Column ``name`` as float64, shape (n,); nulls become ``missing``, or an error where that is None.

        Raises: InputError naming the row of the first NaN, infinity, word, or number outside the bounds.
        """
        column = self._numeric(name)
        nulls = _nulls(column)
        if missing is None:
            self.refuse(nulls, lambda _: f"{name} is empty, and every row needs one")
        values = (column.fill_null(0.0) if column.null_count else column).to_numpy(zero_copy_only=False)
        self.refuse(~np.isfinite(values), lambda row: _not_finite(name, values[row]))
        for wrong, bound in (
            (None if above is None else values <= above, f"it must be above {above}"),
            (None if least is None else values < least, f"it must be at least {least}"),
            (None if most is None else values > most, f"it must be at most {most}"),
        ):
            if wrong is not None:
                self.refuse(wrong & ~nulls, lambda row, bound=bound: f"{name} is {values[row]:g}; {bound}")  # type: ignore[misc]
        if missing is not None and nulls.any():
            values = np.where(nulls, missing, values)
        return np.asarray(values, dtype=np.float64)

    def integer(self, name: str, *, missing: int | None = None, least: int | None = None) -> np.ndarray:
        """Column ``name`` as int64, shape (n,). Raises: InputError as :meth:`number` does, and for a fraction."""
        column = self.table.column(name)
        if pa.types.is_integer(column.type) and not column.null_count:
            whole = column.cast(pa.int64()).to_numpy()
            if least is not None:
                self.refuse(whole < least, lambda row: f"{name} is {whole[row]}; it must be at least {least}")
            return np.asarray(whole)
        values = self.number(name, missing=None if missing is None else float(missing), least=least)
        self.refuse(values != np.floor(values), lambda row: f"{name} is {values[row]:g}; a whole number is expected")
        return values.astype(np.int64)

    def flag(self, name: str, *, missing: bool) -> np.ndarray:
        """Column ``name`` of true and false, or 1 and 0, shape (n,); nulls are ``missing``. Raises: InputError."""
        column = self.table.column(name)
        if pa.types.is_boolean(column.type) or pa.types.is_null(column.type):
            return np.asarray(column.cast(pa.bool_()).fill_null(missing).to_numpy(), dtype=bool)
        words = pc.utf8_lower(_as_text(column)).fill_null(str(missing).lower())
        true, false = (pc.is_in(words, pa.array(known)).to_numpy() for known in (["true", "1"], ["false", "0"]))
        self.refuse(~true & ~false, lambda row: f"{name} is {words[row].as_py()!r}; true or false is expected")
        return np.asarray(true)

    def text(self, name: str, *, required: bool = False, values: Sequence[str] | None = None) -> pd.Series:
        """Column ``name`` as pandas text, missing where null. Raises: InputError for a word outside ``values``."""
        column = _as_text(self.table.column(name))
        if required:
            self.refuse(_nulls(column), lambda _: f"{name} is empty, and every row needs one")
        if values is not None:
            odd = pc.invert(pc.is_in(column, pa.array([*values, None], column.type)))
            self.refuse(
                odd.to_numpy(), lambda row: f"{name} is {column[row].as_py()!r}; {suggest(str(column[row]), values)}"
            )
        return _as_series(column)

    def identity(self, name: str, *, required: bool = True) -> Any:
        """Column ``name`` as whole numbers if all of it is, else as text. Shape: (n,).

        Text that would not print back the same (``007``) stays text. Nulls are refused where ``required``.
        """
        column = self.table.column(name)
        if required:
            self.refuse(_nulls(column), lambda _: f"{name} is empty, and every row needs one")
        if pa.types.is_floating(column.type):
            values = self.number(name, missing=0.0)
            self.refuse(values != np.floor(values), lambda row: f"{name} is {values[row]:g}; an id is whole or text")
            column = column.cast(pa.int64())
        elif self.first_line is not None and pc.all(pc.match_substring_regex(column, _WHOLE), min_count=0).as_py():
            column = column.cast(pa.int64()) if column.null_count < len(column) else column
        if not pa.types.is_integer(column.type):
            return _as_series(_as_text(column))
        if column.null_count:
            return column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        return column.cast(pa.int64()).to_numpy()

    def unique(self, name: str) -> Any:
        """As :meth:`identity`, and no id may come twice. Raises: InputError naming the second row."""
        ids = self.identity(name)
        repeated = pd.Series(ids).duplicated().to_numpy()
        self.refuse(repeated, lambda row: f"{name} {pd.Series(ids).iloc[row]} comes a second time; ids are unique")
        return ids

    def ascending(self, name: str, values: np.ndarray) -> None:
        """Raises: InputError naming the first row whose ``values`` are below those of the row before."""
        back = np.concatenate([[False], np.diff(values) < 0])
        self.refuse(
            back,
            lambda row: f"{name} goes back from {values[row - 1]:.17g} to {values[row]:.17g}; sort the rows by {name}",
        )

    def _numeric(self, name: str) -> pa.ChunkedArray:
        column = self.table.column(name)
        if pa.types.is_null(column.type):
            return column.cast(pa.float64())
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
            return column.cast(pa.float64(), safe=False)
        if self.first_line is None:
            held = next((word for test, word in _UNIT.items() if test(column.type)), "text")
            raise InputError(f"column {name} holds {held} ({column.type}); numbers are expected", path=self.path)
        trimmed = pc.utf8_trim_whitespace(column)
        trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
        try:
            return trimmed.cast(pa.float64())
        except pa.ArrowInvalid:
            self._refuse_words(name, trimmed)

    def _refuse_words(self, name: str, column: pa.ChunkedArray) -> NoReturn:
        for row, word in enumerate(column.to_pylist()):
            try:
                pa.array([word], pa.string()).cast(pa.float64())
            except pa.ArrowInvalid:
                raise self.error(row, f"{name} is {word!r}; a number is expected") from None
        raise InputError(f"column {name} cannot be read as numbers", path=self.path)


def read_table(path: Path, *, names: Sequence[str] | None = None) -> Source:
    """The table in ``path``: Parquet, or CSV (``.gz`` too) whose first line names the columns, unless ``names`` do.

    Raises: InputError where the file is missing, empty, unreadable, cut short or not such a table.
    """
    if head_of(path)[:4] == b"PAR1" or path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    return _read_csv(path, names)


def head_of(path: Path) -> bytes:
    """The first 16 bytes of the file. Raises: InputError where it is missing, a folder, empty or not to be read."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except FileNotFoundError:
        raise InputError("there is no such file; check the path of the trace", path=path) from None
    except IsADirectoryError:
        raise InputError("this is a folder; name the file in it", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if not head:
        raise InputError("the file is empty", path=path)
    return head


def _read_parquet(path: Path) -> Source:
    try:
        # One file, not a data set: a folder name such as year=2017 must not add a column.
        with pyarrow.parquet.ParquetFile(path) as file:
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"not a whole Parquet file, it may be cut short: {_first_line(error)}", path=path) from None
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return Source(path, table, None)


def _read_csv(path: Path, names: Sequence[str] | None) -> Source:
    header = list(names) if names is not None else _header(path)
    torn: list[pa.csv.InvalidRow] = []

    def keep_first(row: pa.csv.InvalidRow) -> str:
        torn.append(row)
        return "error"

    try:
        table = pyarrow.csv.read_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(use_threads=False, column_names=header, skip_rows=0 if names else 1),
            # Blank lines are kept, as rows of nulls, so that line numbers stay true.
            parse_options=pyarrow.csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=keep_first
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=["", "null", "NULL"],
            ),
        )
    except (pa.ArrowException, OSError) as error:
        if torn:
            line = torn[0].number
            raise InputError(
                f"{torn[0].actual_columns} fields where {torn[0].expected_columns} are expected"
                f" ({torn[0].text[:60]!r}); the file may be cut short",
                path=path,
                line=line,
            ) from None
        if "Empty CSV" in str(error) or "cannot infer" in str(error):
            raise InputError("the file has a header but not one row; was it cut short?", path=path) from None
        raise InputError(f"cannot be read as CSV: {_first_line(error)}", path=path) from None
    source = Source(path, _without_blank_end(table), 1 if names else 2)
    for name in header:
        broken = pc.match_substring(source.table.column(name), "\n").fill_null(False).to_numpy()
        source.refuse(broken, lambda _, name=name: f"{name} runs over the end of the line; is a closing quote missing?")  # type: ignore[misc]
    return source


def _header(path: Path) -> list[str]:
    try:
        with pa.input_stream(str(path), compression="detect") as stream:
            head = stream.read(1 << 16)
        first = head.decode("utf-8-sig", errors="replace").split("\n", 1)[0].rstrip("\r")
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as CSV: {_first_line(error)}", path=path) from None
    names = [name.strip() for name in next(csv.reader([first]), [])]
    if "\0" in first or not any(names):
        raise InputError("the first line does not name columns; is this a CSV file?", path=path, line=1)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"column {repeated[0]!r} is there twice", path=path, line=1)
    return names


def _without_blank_end(table: pa.Table) -> pa.Table:
    rows = table.num_rows
    while rows and all(not table.column(i)[rows - 1].is_valid for i in range(table.num_columns)):
        rows -= 1
    return table.slice(0, rows)


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_string(column.type) else column.cast(pa.string())


def _as_series(column: pa.ChunkedArray) -> pd.Series:
    # pandas' own default would be object or str, by its version; this is text with NA in all of them.
    series: pd.Series = column.to_pandas(types_mapper={pa.string(): pd.StringDtype()}.get)
    return series


def _nulls(column: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.is_null(column).to_numpy())


def _not_finite(name: str, value: float) -> str:
    if math.isnan(value):
        return f"{name} is NaN; leave a cell empty (null) where there is no number"
    return f"{name} is {value}; a finite number is expected"


def _first_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error).split("\n", 1)[0])[:200]
