"""Playing one cell of a sweep, in memory: what a process of a crew does over and over."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

from sundog.errors import SundogError
from sundog.scenarios.kept import Kept
from sundog.scenarios.run import outcome, prepare
from sundog.scenarios.schema import Loaded

Measure: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, pa.Table]], Mapping[str, Any]]
"""The summary of a run from its facts and tables: ``sundog.analysis.measure``, or anything that can be imported."""

Figure: TypeAlias = tuple[float | int | None, str]
"""A value, None where the figure does not exist, and its unit."""


@dataclass(frozen=True, slots=True)
class Played:
    """How a cell ended: its figures, or the error. ``where`` says which machine or process played it."""

    figures: Mapping[str, Figure] = field(default_factory=dict)
    books_balance: bool | None = None
    error: str = ""
    exit_code: int = 0
    where: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For the journal; what says nothing is left out."""
        return {key: value for key, value in asdict(self).items() if value not in ("", {}, None, 0) or value is False}


class Player:
    """Plays cells one after the other; inputs that two of them have in common are read and made once."""

    def __init__(self, measure: Measure, *, where: str = "") -> None:
        self._measure = measure
        self._where = where
        self._kept = Kept()
        gc.freeze()  # the libraries are not looked at again by the collections between cells

    def play(self, loaded: Loaded) -> Played:
        """Play a scenario and measure it. Never raises: a cell that fails must not end the others."""
        try:
            figures, balance = self._figures(loaded)
        except SundogError as exc:
            return Played(error=exc.message, exit_code=exc.exit_code, where=self._where)
        except Exception as exc:  # noqa: BLE001 - the root of the cell's task
            told = f"{type(exc).__name__}: {exc}\n{traceback.format_exc()}"
            return Played(error=told, exit_code=SundogError.exit_code, where=self._where)
        finally:
            gc.collect()  # an engine is full of circles, and as large as its run
        return Played(figures=figures, books_balance=balance, where=self._where)

    def _figures(self, loaded: Loaded) -> tuple[dict[str, Figure], bool]:
        study = prepare(loaded, self._kept)
        engine = study.engine()
        facts, tables = outcome(study, engine, engine.run())
        summary = self._measure(facts, {name: make() for name, make in tables.items()})
        figures = {key: (each["value"], each["unit"]) for key, each in summary["figures"].items()}
        return figures, bool(summary["conservation"]["holds"])
