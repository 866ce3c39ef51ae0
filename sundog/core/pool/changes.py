"""What changed lately: the rows whose room or service changed, newest last, so that an index can be repaired lazily."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_KEPT: Final = 1 << 15


class ChangeLog:
    """A ring of provider rows. ``count`` is ``int64[1]``, the changes ever logged; the last ``len(ring)`` are kept.

    A reader remembers the count at which it last looked. One that fell behind by more than the ring holds must look at
    everything again.
    """

    def __init__(self) -> None:
        self.ring: NDArray[np.int32] = np.zeros(_KEPT, dtype=np.int32)
        self.count: NDArray[np.int64] = np.zeros(1, dtype=np.int64)

    def add(self, row: int) -> None:
        """``row`` changed."""
        count = int(self.count[0])
        self.ring[count % _KEPT] = row
        self.count[0] = count + 1
