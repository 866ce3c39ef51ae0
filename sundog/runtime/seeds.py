"""Chance: independent random streams with names, all derived from the one seed of a run.

A stream depends on the seed and on its own name alone: asking for one more stream, or asking in another order, changes
no other. Names are hashed with SHA-256, never with ``hash()``, which differs from process to process.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Sequence
from typing import Final, SupportsIndex

import numpy as np
import numpy.typing as npt

from sundog.errors import InputError

_POOL: Final = 4
_PCG64_MULTIPLIER: Final = (np.uint64(0x2360ED051FC65DA4), np.uint64(0x4385DF649FCCF645))

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

    def uniforms(self, names: Sequence[str], count: int) -> npt.NDArray[np.float64]:
        """What ``fresh(name).random(count)`` gives for each of ``names``, all at once. Shape: (names, count).

        A generator of numpy takes 30 microseconds to make, which is seconds for a hundred thousand hosts.
        """
        if not all(names):
            raise ValueError("a random stream needs a name")
        words = np.array([_words(name) for name in names], dtype=np.uint32).reshape(len(names), _WORDS)
        shared = [self.seed >> shift & 0xFFFFFFFF for shift in range(0, max(self.seed.bit_length(), 1), 32)]
        shared += [0] * (_POOL - len(shared))
        entropy = [np.full(len(names), word, dtype=np.uint32) for word in (*shared, *self._key)]
        return _pcg64_uniforms(_seed_words([*entropy, *words.T]), count)

    def child(self, name: str) -> Streams:
        """Streams of a part of the run, apart from these and from other children. The same object each time."""
        if not name:
            raise ValueError("a child of random streams needs a name")
        if name not in self._children:
            self._children[name] = Streams(self.seed, path=(*self.path, name))
        return self._children[name]


# ---------------------------------------------------------------- numpy's own seeding, for many streams at once
#
# Both algorithms are promised not to change (NEP 19): SeedSequence by M. O'Neill ("Developing a seed_seq alternative",
# 2015), PCG64 (XSL RR 128/64) from her report HMC-CS-2014-0905. A word is an array with one element a stream.

_Words = npt.NDArray[np.uint32]
_Longs = npt.NDArray[np.uint64]


def _hasher(constant: int, multiplier: int) -> Callable[[_Words], _Words]:
    """A hash of one word after the other, whose constant moves on with each."""

    def hashed(word: _Words) -> _Words:
        nonlocal constant
        mixed = word ^ np.uint32(constant)
        constant = constant * multiplier & 0xFFFFFFFF
        mixed *= np.uint32(constant)
        mixed ^= mixed >> np.uint32(16)
        return mixed

    return hashed


def _seed_words(entropy: Sequence[_Words]) -> list[_Longs]:
    """The four words of 64 bits that seed a PCG64, from at least four of entropy."""
    hashed = _hasher(0x43B0D7E5, 0x931E8875)

    def mixed(pool: _Words, word: _Words) -> _Words:
        result: _Words = np.uint32(0xCA01F9DD) * pool - np.uint32(0x4973F715) * word
        result ^= result >> np.uint32(16)
        return result

    pool = [hashed(word) for word in entropy[:_POOL]]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = mixed(pool[target], hashed(pool[source]))
    for word in entropy[_POOL:]:
        pool = [mixed(each, hashed(word)) for each in pool]
    hashed = _hasher(0x8B51F9DD, 0x58F38DED)
    halves = [hashed(pool[i % _POOL]).astype(np.uint64) for i in range(2 * _POOL)]
    return [low | high << np.uint64(32) for low, high in zip(halves[::2], halves[1::2], strict=True)]


def _pcg64_uniforms(seed: Sequence[_Longs], count: int) -> npt.NDArray[np.float64]:
    """The first numbers from 0 to below 1 of PCG64 generators with these seeds. Shape: (streams, count)."""
    step = (seed[2] << np.uint64(1) | seed[3] >> np.uint64(63), seed[3] << np.uint64(1) | np.uint64(1))
    state = _next_state(_sum(step, (seed[0], seed[1])), step)
    drawn = np.empty((len(seed[0]), count))
    for i in range(count):
        state = _next_state(state, step)
        turn: _Longs = state[0] >> np.uint64(58)
        word: _Longs = state[0] ^ state[1]
        word = word >> turn | word << ((np.uint64(64) - turn) & np.uint64(63))
        drawn[:, i] = (word >> np.uint64(11)) * 2.0**-53
    return drawn


def _next_state(state: tuple[_Longs, _Longs], step: tuple[_Longs, _Longs]) -> tuple[_Longs, _Longs]:
    """``state`` times the multiplier plus ``step``, both (upper, lower) halves of 128 bits."""
    (high, low), (by_high, by_low), half, lower = state, _PCG64_MULTIPLIER, np.uint64(32), np.uint64(0xFFFFFFFF)
    a, b, c, d = low >> half, low & lower, by_low >> half, by_low & lower
    first = a * d + (b * d >> half)
    second = b * c + (first & lower)
    carry = a * c + (first >> half) + (second >> half)
    return _sum((carry + high * by_low + low * by_high, low * by_low), step)


def _sum(a: tuple[_Longs, _Longs], b: tuple[_Longs, _Longs]) -> tuple[_Longs, _Longs]:
    low = a[1] + b[1]
    return a[0] + b[0] + (low < a[1]), low
