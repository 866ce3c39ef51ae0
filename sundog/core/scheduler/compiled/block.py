"""A block of addresses: how compiled code sees some eighty arrays as one argument.

Handing an array from Python to a compiled function costs about half a microsecond, and handing eighty of them on from
one compiled function to the next costs more than a decision does. So compiled code gets one ``int64`` array, the
block, which holds the address of each array at the number of its :class:`Slot`, and takes what it needs from there:
``free = longs(block, FREE)``. The arrays are those of the pool and of the scheduler themselves, not copies.

Whoever packs a block must keep its arrays alive, and pack again when one of them is replaced by a longer one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

_MUCH: Final = 1 << 40  # lengths are not checked in compiled code


def _caster(dtype: Any, bits: Any) -> Any:
    @intrinsic
    def cast(typing_context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], bits.as_pointer())

        return types.CPointer(dtype)(types.int64), build

    return cast


_long = _caster(types.int64, ir.IntType(64))
_int = _caster(types.int32, ir.IntType(32))
_short = _caster(types.int16, ir.IntType(16))
_byte = _caster(types.uint8, ir.IntType(8))
_float = _caster(types.float64, ir.DoubleType())


@njit
def longs(block, slot):
    """The ``int64`` array in a slot, flat."""
    return carray(_long(block[slot]), (_MUCH,))


@njit
def ints(block, slot):
    """The ``int32`` array in a slot, flat."""
    return carray(_int(block[slot]), (_MUCH,))


@njit
def shorts(block, slot):
    """The ``int16`` array in a slot, flat."""
    return carray(_short(block[slot]), (_MUCH,))


@njit
def bools(block, slot):
    """The ``bool`` or ``uint8`` array in a slot, flat, as ``uint8``."""
    return carray(_byte(block[slot]), (_MUCH,))


@njit
def floats(block, slot):
    """The ``float64`` array in a slot, flat."""
    return carray(_float(block[slot]), (_MUCH,))


@njit
def longs_at(block, slot, offset):
    """As :func:`longs`, from an offset on: in a loop this saves adding it each time."""
    return carray(_long(block[slot] + 8 * offset), (_MUCH,))


@njit
def ints_at(block, slot, offset):
    """As :func:`ints`, from an offset on."""
    return carray(_int(block[slot] + 4 * offset), (_MUCH,))


@njit
def bools_at(block, slot, offset):
    """As :func:`bools`, from an offset on."""
    return carray(_byte(block[slot] + offset), (_MUCH,))


@njit
def floats_at(block, slot, offset):
    """As :func:`floats`, from an offset on."""
    return carray(_float(block[slot] + 8 * offset), (_MUCH,))


class Block:
    """The addresses of arrays by slot, and the arrays themselves, kept alive. ``addresses`` is what kernels are given.

    Raises: ValueError for an array that is not contiguous, whose address would not be enough.
    """

    def __init__(self, slots: int) -> None:
        self.addresses: NDArray[np.int64] = np.zeros(slots, dtype=np.int64)
        self._kept: dict[int, NDArray[Any]] = {}

    def pack(self, arrays: Mapping[int, NDArray[Any]]) -> None:
        """Put ``arrays`` into their slots."""
        for slot, array in arrays.items():
            if not array.flags.c_contiguous:
                raise ValueError(f"the array of slot {slot} is not contiguous")
            self._kept[slot] = array
            self.addresses[slot] = array.ctypes.data
