"""The numbers by which compiled code finds its arrays in a block, and the meaning of its small integers.

Shapes, hosts, kinds, columns and amounts are numbered from 0; ``S x K`` tables are flat, row by row.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

# ---- the pool's own columns (see ``Pool``); matrices are flat, [class, row]
FREE, USED, CAPACITY, CLAIMS, GENERATION, IN_SERVICE, PLAIN, ROOT = range(8)  # PLAIN: bool[S], see ``Decider``
RING, CHANGES = 8, 9  # the change log
# the table of allocations
HEAD, ENTRIES, ENTRY_MARKS, AMOUNT_USES = range(10, 14)
# server groups
GROUP_HEAD, GROUP_ROW, GROUP_COUNT, GROUP_NEXT, GROUP_MARKS = range(14, 19)

# ---- hosts
HOST_ROW = 22  # int64[n]: the pool row of each host
HOST_OF_ROW = 23  # int64[rows]: the host that a row belongs to, child providers included; -1 for none
KIND = 24  # int32[n]: hosts of one kind have the same facts, so that they pass the same static filters
SCALE = 25  # float64[C]: the largest capacity of each class on any host
CHILD_START, CHILD_ROW = 26, 27  # int64[n + 1], int64: child providers of host h are CHILD_ROW[START[h]:START[h + 1]]

# ---- shapes
WIDTH = 28  # int32[S]: classes asked
COLUMN = 29  # int32[S x K]
UNITS = 30  # int64[S x V x K]: by variant
ELIGIBLE = 31  # bool[S x kinds]: passes the static filters
VARIANT = 32  # int16[S x kinds]
AMOUNTS = 33  # int32[S x V]: the interned amounts that a server claims of its host
DEVICES, DEVICE_WIDTH, DEVICE_COLUMN, DEVICE_UNITS, DEVICE_AMOUNTS = range(34, 39)  # S, S, S x K, S x K, S
PARAMETERS = 39  # float64[S x P]: of the policy's score
AMOUNT_WIDTH, AMOUNT_COLUMN, AMOUNT_UNITS = 40, 41, 42  # interned amounts: A, A x K, A x K

# ---- indexes, one a shape: a tree of bounds over the hosts
LEVEL_START = 43  # int64[levels + 1]: where each level's nodes begin; the last is the number of nodes
INDEX = 44  # int32[S]: the index of a shape, -1 for none
BOUND, WINNER = 45, 46  # float64, int32 [indexes x nodes]: see ``settle``
CURSOR = 47  # int64[indexes]: changes seen; -1 for an index that must be built anew
SHORT_CURSOR, SHORT_MASK, WITNESS = 48, 49, 50  # int64[S], int64[S], int32[S x (K + 1)]: see ``shortage``

# ---- scratch, all zero between two decisions
TAKEN_OUT, COUNT, CANDIDATE = 51, 52, 53  # uint8[n], int32[n], int32[n]
ASKED, LEFT = 54, 55  # int64[K] each: what a score is told of one host
ROOM = 56  # int64[K]: capacity of the classes asked
ROOM_SCALE = 57  # float64[K]
SCORED_HOST, SCORED_ROW, SCORED = 61, 62, 63  # int64, int64, float64: hosts, their rows, and what they score

SIZES = 60  # int64: scalars, see below

# ---- ``nova``: by weigher, in their order
WEIGHS, WEIGHS_CLASS = 64, 65  # int32: a ``Weighs``, and the column of its class
MULTIPLIER, HIGHEST, LEAST = 66, 67, 68  # float64
TOTAL, RESERVED, RATIO = 19, 20, 21  # the pool's: int64, int64, float64 [class, row]
CLASS_SCALE = 70  # float64[C]: units of one of each class
RAW = 71  # float64[weighers x n]: what each gives each host before it is scaled
SCALED_BY = (
    72  # float64[indexes]: the highest raw weight by which whole weights are scaled, at the index of its weigher
)
SCORED_FREE, TELLING = 73, 74  # int64, int32: how much they have free of a class; which of them matter
SCORED_RAW = 75  # float64: what a weigher of ``nova`` gives them
CORE_SLOTS: Final = 76

# ---- the shape of an index: hosts in a block, and nodes below a node, as powers of two
BLOCK_SHIFT: Final = 5
NODE_SHIFT: Final = 3

# ---- scalars in SIZES
(
    HOSTS,
    ROWS,
    KINDS,
    CLASSES,
    MOST_CLASSES,
    MOST_VARIANTS,
    MOST_PARAMETERS,
    NODES,
    LEVELS,
    RING_MASK,
    BEHIND,  # the most changes that are repaired one by one
    METHOD,
    CUSTOM,  # the address of a score function
    WEIGHS_GROUPS,
    SEED,
    SEQUENCE,
    LAST_ROW,
    WEIGHERS,  # weighers of ``nova`` that say anything
    WEIGHER,  # the one whose index is in question; ``WEIGHERS`` for that of whole weights
    BOUNDED,  # whether ``nova`` can use indexes, see ``_nova_from_indexes``
    FLAT,  # whether host h is row h
    SOFT_WEIGHERS,  # how many of them are about soft groups; they come first where ``BOUNDED``
    TAKING_OUT,  # whether any host is taken out
    RAW_CURSOR,  # changes seen by ``RAW``; -1 if it must be made anew
) = range(24)
SCALARS: Final = 24


class Method(IntEnum):
    """How a policy chooses, as compiled code knows it."""

    FIRST_FIT = 0
    BEST_FIT = 1
    WORST_FIT = 2
    DOT_PRODUCT = 3
    CUSTOM = 4
    NEXT_FIT = 5
    ROUND_ROBIN = 6
    RANDOM = 7
    NOVA = 8


class Weighs(IntEnum):
    """Nova's weighers that say anything of a host in a study."""

    SOFT_AFFINITY = 0
    SOFT_ANTI_AFFINITY = 1
    CPU = 2
    DISK = 3
    INSTANCES = 4
    RAM = 5


class Rule(IntEnum):
    """What a server group asks, as compiled code knows it."""

    NONE = 0
    AFFINITY = 1
    ANTI_AFFINITY = 2
    SOFT_AFFINITY = 3
    SOFT_ANTI_AFFINITY = 4


class Why(IntEnum):
    """Why there is no host: the filter that refused the last ones; ``SHORT`` has a bit for each class above it."""

    STATIC = 1
    NOT_IN_SERVICE = 2
    AFFINITY = 3
    ANTI_AFFINITY = 4
    SHORT = 16
