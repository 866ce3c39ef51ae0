"""The folder of a sweep: what was asked, a journal of the cells that are done, and their results as one table.

``sweep.yaml`` says what was asked and is written first. ``cells.jsonl`` has a line for each cell, on the disk before
the next is looked at; a last line that a kill tore is dropped. ``results.parquet`` and ``results.csv`` are made from it
at the end, also at the end that Ctrl-C brings.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

import sundog
from sundog.errors import InputError, OutputError
from sundog.scenarios.lock import digest_of
from sundog.scenarios.sweep.plan import Cell, Plan, Value, parse_vary
from sundog.scenarios.sweep.play import Played

if sys.platform != "win32":
    import fcntl

SWEEP_FILE: Final = "sweep.yaml"
"""What was asked, and the file by which the folder of a sweep is known."""
JOURNAL: Final = "cells.jsonl"
RESULTS: Final = "results.parquet"
OURS: Final = (SWEEP_FILE, JOURNAL, RESULTS, "results.csv", "compare.md", "compare.json", "figures")
"""All that ``--force`` removes."""

FIXED: Final = ("replicate", "seed", "error", "books_balance")
"""Columns of the results between those of the varied keys and those of the figures."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the journal: which cell, and how it ended."""

    key: str
    labels: Mapping[str, Value]
    replicate: int
    seed: int
    played: Played


class SweepFolder:
    """The folder while a sweep writes it. ``opened`` makes one."""

    def __init__(self, path: Path, plan: Plan, done: dict[str, Played], journal: int) -> None:
        self.path = path
        self._plan = plan
        self._done = done
        self._journal = journal

    @property
    def missing(self) -> list[Cell]:
        """The cells that are still to be played, those that failed before among them."""
        return [cell for cell in self._plan.cells if cell.key not in self._done or self._done[cell.key].error]

    @property
    def rows(self) -> list[Row]:
        """What there is, in the order of the plan."""
        return [
            Row(cell.key, cell.combination.labels, cell.replicate, cell.seed, self._done[cell.key])
            for cell in self._plan.cells
            if cell.key in self._done
        ]

    def keep(self, cell: Cell, played: Played) -> None:
        """Write down how a cell ended; once this returns, no kill takes it away.

        Raises: OutputError where the disk is full or gone.
        """
        line = {
            "key": cell.key, "labels": dict(cell.combination.labels), "replicate": cell.replicate, "seed": cell.seed,
            **played.as_dict(),
        }  # fmt: skip
        try:
            text = (json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n").encode()
            while text:
                text = text[os.write(self._journal, text) :]
            os.fsync(self._journal)
        except OSError as exc:
            raise unwritable(self.path, exc) from exc
        self._done[cell.key] = played

    def write_results(self) -> pa.Table:
        """Make ``results.parquet`` and ``results.csv`` of what there is."""
        table = results_table(self.rows, {each.key: each.labels for each in self._plan.varied})
        try:
            partial = self.path / f".{RESULTS}.partial"
            pq.write_table(table, partial, compression="zstd")
            partial.replace(self.path / RESULTS)
            partial = self.path / ".results.csv.partial"
            pyarrow.csv.write_csv(table, partial)
            partial.replace(self.path / "results.csv")
        except OSError as exc:
            raise unwritable(self.path, exc) from exc
        return table


@contextmanager
def opened(path: Path, plan: Plan, *, force: bool = False) -> Iterator[SweepFolder]:
    """The folder of a sweep: a new one, or the one that an earlier command with the same sweep left, to go on with.

    More seeds than before are no other sweep. ``force`` starts over, and replaces nothing but a sweep.
    Raises: OutputError if something else is there (saying what differs), another sweep is writing to it, or it cannot
    be written.
    """
    asked = what_is_asked(plan)
    with ExitStack() as stack:
        try:
            if path.exists() and not path.is_dir():
                raise OutputError(f"{path} is a file; choose another folder with --out")
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(path))
            _make_room(path, asked, force=force)
            if not (path / SWEEP_FILE).exists() or len(plan.seeds) > _kept_sweep(path)["seeds"]:
                _write_yaml(path / SWEEP_FILE, asked)
            done = {row.key: row.played for row in read_journal(path)}
            journal = os.open(path / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            stack.callback(os.close, journal)
            _drop_torn_line(journal)
        except OSError as exc:
            raise unwritable(path, exc) from exc
        yield SweepFolder(path, plan, done, journal)


def what_is_asked(plan: Plan) -> dict[str, Any]:
    """All that the results depend on, for ``sweep.yaml``. Two sweeps with the same may share a folder."""
    return {
        "sweep": 1,
        "scenario": plan.source,
        "set": list(plan.options),
        "vary": {each.key: list(each.texts) for each in plan.varied},
        "seed0": plan.seed0,
        "seeds": len(plan.seeds),
        "made_with": {"sundog": sundog.__version__, "python": platform.python_version(), "numpy": np.__version__},
        "files": {str(path): digest_of(path) for path in (*plan.inputs, *plan.modules)},
        "document": plan.base.document,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What another sweep was asked for, by dotted key; seeds only where there are fewer now."""
    # Where the document came from does not matter: it is compared itself.
    told_apart = [{key: each[key] for key in each if key not in ("sweep", "scenario", "set")} for each in (before, now)]
    flat = [_flat(each) for each in told_apart]
    told = []
    for key in dict.fromkeys([*flat[0], *flat[1]]):
        was, are = (each.get(key, "nothing") for each in flat)
        if was == are or (key == "seeds" and was < are):
            continue
        if key.startswith("files.") and "nothing" not in (was, are):
            told.append(f"{key.removeprefix('files.')} has changed")
        else:
            told.append(f"{key.removeprefix('document.')} was {was}, now {are}")
    return told


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and value:
        items = [(str(name), each) for name, each in value.items()]
    elif isinstance(value, list) and value:
        items = [(str(i), each) for i, each in enumerate(value)]
    else:
        return {key: value}
    return {k: v for name, each in items for k, v in _flat(each, f"{key}.{name}" if key else name).items()}


def _make_room(path: Path, asked: Mapping[str, Any], *, force: bool) -> None:
    if all(each.name == f".{SWEEP_FILE}.partial" for each in path.iterdir()):
        return
    if not (path / SWEEP_FILE).is_file():
        raise OutputError(f"{path} is not empty and not a sweep (it has no {SWEEP_FILE}); choose another with --out")
    if force:
        for name in reversed(OURS):  # sweep.yaml last: until then it is a sweep
            each = path / name
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink(missing_ok=True)
        return
    told = differences(_kept_sweep(path), asked)
    if told:
        more = f" and {len(told) - 5} more" if len(told) > 5 else ""
        raise OutputError(
            f"{path} has another sweep: {'; '.join(told[:5])}{more}. Choose another folder with --out, or start over "
            "with --force",
            differences=tuple(told),
        )


def _kept_sweep(path: Path) -> dict[str, Any]:
    try:
        asked = YAML(typ="safe").load((path / SWEEP_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError) as exc:
        raise InputError(
            f"is not what a sweep writes ({exc}); start over with --force", path=path / SWEEP_FILE
        ) from exc
    if not isinstance(asked, dict) or asked.get("sweep") != 1 or not isinstance(asked.get("seeds"), int):
        raise InputError("is not what a sweep of this version writes; start over with --force", path=path / SWEEP_FILE)
    return asked


def _write_yaml(path: Path, value: Mapping[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    yaml = YAML()
    yaml.width = 120
    with partial.open("w", encoding="utf-8") as file:
        yaml.dump(dict(value), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other sweeps out of a folder until the block ends, however it does."""
    if sys.platform == "win32":
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another sweep is writing to {path}; wait for it, or choose another folder") from None
        yield
    finally:
        os.close(handle)


def unwritable(path: Path, exc: OSError) -> OutputError:
    """What to tell where a sweep cannot write."""
    full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "the disk is full" if full else exc.strerror or str(exc)
    return OutputError(f"cannot write the sweep to {path}: {why}; make room and give the same command again")


# ---------------------------------------------------------------- reading


def read_journal(path: Path) -> list[Row]:
    """The cells that are done, in the order in which they were; of a cell that was played twice, the last.

    Raises: InputError for a line in the middle that is not one of a journal.
    """
    try:
        content = (path / JOURNAL).read_bytes()
    except FileNotFoundError:
        return []
    rows: dict[str, Row] = {}
    whole, _, _ = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if whole else [], 1):
        try:
            row = _row(json.loads(line))
        except (ValueError, KeyError, TypeError):
            message = "is not a line of a sweep's journal; take it out, and its cell is played again"
            raise InputError(message, path=path / JOURNAL, line=number) from None
        rows[row.key] = row
    return list(rows.values())


def _row(line: Mapping[str, Any]) -> Row:
    played = Played(
        figures={key: (value, str(unit)) for key, (value, unit) in line.get("figures", {}).items()},
        books_balance=line.get("books_balance"),
        error=line.get("error", ""),
        exit_code=line.get("exit_code", 0),
        where=line.get("where", ""),
    )
    return Row(line["key"], line["labels"], line["replicate"], line["seed"], played)


def _drop_torn_line(journal: int) -> None:
    size = os.fstat(journal).st_size
    content = os.pread(journal, size, 0)
    end = content.rfind(b"\n") + 1
    if end < size:
        os.ftruncate(journal, end)


@dataclass(frozen=True, slots=True)
class Sweep:
    """The folder of a sweep as its readers want it: what varied, in order, and the table of what is done."""

    varied: Mapping[str, tuple[Value, ...]]
    table: pa.Table
    cells: int


def read_sweep(path: Path) -> Sweep:
    """A sweep, finished or not; one that is being played can be read, too.

    Raises: InputError where the folder is none of a sweep.
    """
    if not (path / SWEEP_FILE).is_file():
        raise InputError(f"is not the folder of a sweep: it has no {SWEEP_FILE}", path=path)
    asked = _kept_sweep(path)
    keys = list(asked["vary"])
    rows = read_journal(path)
    # The journal is in the order in which cells were done; the plan's is that of the varied values.
    order = {
        json.dumps([f"{key}={text}" for key, text in zip(keys, texts, strict=True)]): number
        for number, texts in enumerate(_product([asked["vary"][key] for key in keys]))
    }
    rows = [row for row in rows if _options(row) in order and row.replicate < asked["seeds"]]
    rows.sort(key=lambda row: (order[_options(row)], row.replicate))
    levels = {key: parse_vary(f"{key}={','.join(asked['vary'][key])}").labels for key in keys}
    varied = {
        key: labels if _kind(labels) != pa.string() else tuple(map(str, labels)) for key, labels in levels.items()
    }
    return Sweep(varied, results_table(rows, levels), len(order) * int(asked["seeds"]))


def _options(row: Row) -> str:
    """The key of a cell without its seed."""
    return json.dumps(json.loads(row.key)[:-1])


def _product(lists: list[list[str]]) -> Iterator[tuple[str, ...]]:
    if not lists:
        yield ()
        return
    for rest in _product(lists[:-1]):
        for last in lists[-1]:
            yield (*rest, last)


def results_table(rows: list[Row], levels: Mapping[str, Sequence[Value]]) -> pa.Table:
    """One row a cell: varied keys, replicate, seed, error, whether its books balance, and every figure.

    ``levels`` are all values of each varied key, whether there are rows of it or not.
    A figure of counts is int64, any other float64, null where it does not exist; its unit is in the field's metadata.
    """
    fields: list[pa.Field] = []
    columns: list[pa.Array] = []

    def add(name: str, values: list[Any], kind: pa.DataType, **facts: str) -> None:
        columns.append(pa.array(values, type=kind))
        fields.append(pa.field(name, kind, metadata=facts or None))

    for key, known in levels.items():
        values = [row.labels[key] for row in rows]
        kind = _kind(known)
        add(key, [str(each) for each in values] if kind == pa.string() else values, kind)
    add("replicate", [row.replicate for row in rows], pa.int64())
    add("seed", [row.seed for row in rows], pa.int64())
    add("error", [row.played.error or None for row in rows], pa.string())
    add("books_balance", [row.played.books_balance for row in rows], pa.bool_())
    units = {name: unit for row in rows for name, (_, unit) in row.played.figures.items()}
    for name, unit in units.items():
        figures: list[float | int | None] = [row.played.figures.get(name, (None, ""))[0] for row in rows]
        whole = any(each is not None for each in figures) and all(isinstance(each, int | None) for each in figures)
        add(name, figures, pa.int64() if whole else pa.float64(), unit=unit)
    return pa.table(columns, schema=pa.schema(fields))


def _kind(values: Sequence[Value]) -> pa.DataType:
    if all(isinstance(each, bool) for each in values):
        return pa.bool_()
    if all(isinstance(each, int) and not isinstance(each, bool) for each in values):
        return pa.int64()
    if all(isinstance(each, int | float) and not isinstance(each, bool) for each in values):
        return pa.float64()
    return pa.string()
