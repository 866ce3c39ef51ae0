"""Compiled decisions: Numba kernels and lazily repaired indexes behind the same scheduler interface.

``methods`` says which policies can be compiled, ``decider`` keeps a scheduler's hosts and shapes as arrays, ``kernels``
decides and keeps the books, ``slots`` and ``block`` are how arrays get there. Import ``decider`` only where it is used:
Numba takes half a second to import.
"""

from sundog.core.scheduler.compiled.methods import Compilable, compilable

__all__ = ["Compilable", "compilable"]
