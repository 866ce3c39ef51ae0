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
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numpy.typing import NDArray

_MUCH: Final = 1 << 40  # lengths are not checked in compiled code


# Intrinsics, not functions: a function that counts no references may not return an array.


def _made(context: Any, builder: Any, array: Any, address: Any) -> Any:
    """An array at an address, which owns nothing: no reference is counted."""
    made = context.make_array(array)(context, builder)
    item = context.get_constant(types.intp, array.dtype.bitwidth // 8)
    populate_array(
        made,
        data=builder.inttoptr(address, made.data.type),
        shape=[context.get_constant(types.intp, _MUCH)],
        strides=[item],
        itemsize=item,
        meminfo=None,
    )
    return made._getvalue()


def _viewers(dtype: Any, what: str) -> tuple[Any, Any, Any]:
    """``(block, slot)``, ``(block, slot, offset)`` and ``(address)`` to array, for compiled code."""
    array = types.Array(dtype, 1, "C")

    def address_in(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        slot = context.cast(builder, arguments[1], signature.args[1], types.intp)
        return builder.load(builder.gep(block.data, [slot]))

    @intrinsic
    def view(typing_context: Any, block: Any, slot: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _made(context, builder, array, address_in(context, builder, signature, arguments))

        return array(block, slot), build

    @intrinsic
    def view_from(typing_context: Any, block: Any, slot: Any, offset: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            offset = context.cast(builder, arguments[2], signature.args[2], types.int64)
            ahead = builder.mul(offset, context.get_constant(types.int64, dtype.bitwidth // 8))
            address = builder.add(address_in(context, builder, signature, arguments), ahead)
            return _made(context, builder, array, address)

        return array(block, slot, offset), build

    @intrinsic
    def at(typing_context: Any, address: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _made(context, builder, array, arguments[0])

        return array(types.int64), build

    for made, words in ((view, "in a slot"), (view_from, "in a slot, from an offset on"), (at, "at an address")):
        made.__doc__ = f"The {what} array {words}, flat."
    return view, view_from, at


longs, longs_at, long_array = _viewers(types.int64, "``int64``")
ints, ints_at, _ = _viewers(types.int32, "``int32``")
shorts, _, _ = _viewers(types.int16, "``int16``")
bools, bools_at, _ = _viewers(types.uint8, "``bool`` or ``uint8``")
floats, floats_at, float_array = _viewers(types.float64, "``float64``")


@intrinsic
def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask for an element of an array to be brought near, since it will be needed soon. Any index does no harm."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        seen = context.make_array(signature.args[0])(context, builder, value=arguments[0])
        number = context.cast(builder, arguments[1], signature.args[1], types.intp)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), "llvm.prefetch.p0i8"
        )
        to_write, most_local, data = word(1), word(3), word(1)
        address = builder.bitcast(builder.gep(seen.data, [number]), byte)
        builder.call(function, [address, to_write, most_local, data])
        return context.get_dummy_value()

    return types.void(array, index), build


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
