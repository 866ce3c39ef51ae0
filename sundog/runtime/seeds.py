"""Chance: independent random streams with names, all derived from the one seed of a run.

A stream depends on the seed and on its own name alone: asking for one more stream, or asking in another order, changes
no other. Names are hashed with SHA-256, never with ``hash()``, which differs from process to process.
"""

from __future__ import annotations

import hashlib
import operator
from typing import Final, SupportsIndex

import numpy as np

from sundog.errors import InputError

# Words of 32 bits that a name becomes: 128 bits, so that two names never meet. Every name of a path takes equally many,
# so that ("ab", "c") and ("a", "bc") differ.
_WORDS: Final = 4


def _words(name: str) -> tuple[int, ...]:
    """``name`` as words of a spawn key."""
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(_WORDS))


class Streams:
    """Named, independent random streams of one seed.

    ``seed`` is any integer from 0 up, of any length. Raises: InputError for another one.

    >>> streams = Streams(1)
    >>> streams.stream("faults") is streams.stream("faults")
    True
    >>> int(streams.fresh("faults").integers(100)) == int(Streams(1).stream("faults").integers(100))
    True
    """

    def __init__(self, seed: SupportsIndex, *, path: tuple[str, ...] = ()) -> None:
        try:
            number = operator.index(seed)
        except TypeError:
            raise InputError(f"the seed {seed!r} is not an integer; give a whole number from 0 up") from None
        if isinstance(seed, bool) or number < 0:
            raise InputError(f"the seed {seed!r} cannot be used; give a whole number from 0 up")
        self.seed: Final = number
        self.path: Final = path
        self._key = tuple(word for name in path for word in _words(name))
        self._streams: dict[str, np.random.Generator] = {}
        self._children: dict[str, Streams] = {}

    def __repr__(self) -> str:
        return f"Streams({self.seed}, path={self.path})"

    def stream(self, name: str) -> np.random.Generator:
        """The generator called ``name``, the same object each time: a second caller goes on where the first stopped."""
        if name not in self._streams:
            self._streams[name] = self.fresh(name)
        return self._streams[name]

    def fresh(self, name: str) -> np.random.Generator:
        """A new generator at the beginning of the stream called ``name``; the one of ``stream`` does not move."""
        return np.random.Generator(np.random.PCG64(self.sequence(name)))

    def sequence(self, name: str) -> np.random.SeedSequence:
        """What the stream called ``name`` is seeded with, for code that needs another bit generator."""
        if not name:
            raise ValueError("a random stream needs a name")
        return np.random.SeedSequence(self.seed, spawn_key=(*self._key, *_words(name)))

    def child(self, name: str) -> Streams:
        """Streams of a part of the run, apart from these and from other children. The same object each time."""
        if not name:
            raise ValueError("a child of random streams needs a name")
        if name not in self._children:
            self._children[name] = Streams(self.seed, path=(*self.path, name))
        return self._children[name]
