"""Synthetic workloads: VM traces drawn from laws, some of them fitted to public traces.

``spec.py`` is what a scenario writes under ``workload.synthetic``; ``generate.py`` turns it into a trace in the
normalised form; ``arrivals.py``, ``batches.py``, ``laws.py`` and ``initial.py`` are its parts. Pure: numbers from
named streams, no clock and no files but the presets in ``sim/calibration``. How those were fitted, and how well they
fit, is in ``docs/explanation/workloads.md``. May import ``sundog.runtime.seeds``, ``sundog.units`` and
``sundog.errors``. Start reading at ``generate``.

Nothing is imported here: laws are asked for by a cloud that is served too, which has no use for traces and pandas.
"""
