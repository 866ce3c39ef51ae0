"""Traits and aggregates as bits: one row of 64-bit words a column, so that a question about all hosts is one pass."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_WORD = 64


class BitColumns:
    """Which of a growing vocabulary of names each row has.

    Words are ``uint64[words, rows]``: names beyond 64 add a word, so a pool with few traits stays small.
    """

    def __init__(self, rows: int = 0) -> None:
        self._bits: dict[str, int] = {}
        self._words: NDArray[np.uint64] = np.zeros((1, rows), dtype=np.uint64)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name ever given, in the order of first use."""
        return tuple(self._bits)

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        return self._words.nbytes

    def resize(self, rows: int) -> None:
        """Make room for ``rows`` rows; new ones have no names."""
        words = np.zeros((self._words.shape[0], rows), dtype=np.uint64)
        keep = min(rows, self._words.shape[1])
        words[:, :keep] = self._words[:, :keep]
        self._words = words

    def assign(self, rows: NDArray[np.intp] | int, names: Iterable[str]) -> None:
        """Give ``rows`` exactly ``names``, replacing what they had."""
        mask = self._mask(dict.fromkeys(names), create=True)
        self._words[:, rows] = 0
        for word, bits in mask.items():
            self._words[word, rows] = bits

    def of(self, row: int) -> tuple[str, ...]:
        """The names that ``row`` has, in the order of first use."""
        return tuple(
            name
            for name, bit in self._bits.items()
            if self._words[bit // _WORD, row] >> np.uint64(bit % _WORD) & np.uint64(1)
        )

    def having_all(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """``bool[rows]``: rows that have every one of ``names``. A name never used is had by no row."""
        wanted = tuple(names)
        result = np.ones(self._words.shape[1], dtype=bool)
        if any(name not in self._bits for name in wanted):
            result[:] = False
            return result
        for word, bits in self._mask(wanted, create=False).items():
            result &= (self._words[word] & bits) == bits
        return result

    def having_any(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """``bool[rows]``: rows that have at least one of ``names``."""
        result = np.zeros(self._words.shape[1], dtype=bool)
        for word, bits in self._mask(names, create=False).items():
            result |= (self._words[word] & bits) != 0
        return result

    def _mask(self, names: Iterable[str], *, create: bool) -> dict[int, np.uint64]:
        mask: dict[int, int] = {}
        for name in names:
            bit = self._bits.get(name)
            if bit is None:
                if not create:
                    continue
                bit = self._bits[name] = len(self._bits)
                if bit // _WORD >= self._words.shape[0]:
                    extra = np.zeros((1, self._words.shape[1]), dtype=np.uint64)
                    self._words = np.concatenate([self._words, extra])
            mask[bit // _WORD] = mask.get(bit // _WORD, 0) | 1 << bit % _WORD
        return {word: np.uint64(bits) for word, bits in mask.items()}
