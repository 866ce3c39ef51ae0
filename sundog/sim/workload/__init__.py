"""Synthetic workloads: VM traces drawn from laws, some of them fitted to public traces.

``spec.py`` is what a scenario writes under ``workload.synthetic``; ``generate.py`` turns it into a trace in the
normalised form; ``arrivals.py``, ``batches.py``, ``laws.py`` and ``initial.py`` are its parts. Pure: numbers from
named streams, no clock and no files but the presets in ``sim/calibration``. How those were fitted, and how well they
fit, is in ``docs/explanation/workloads.md``. May import ``sundog.runtime.seeds``, ``sundog.units`` and
``sundog.errors``. Start reading at ``generate``.
"""

from sundog.sim.workload.generate import generate
from sundog.sim.workload.initial import mean_population
from sundog.sim.workload.spec import Preset, SyntheticFlavor, SyntheticSpec, load_preset, presets

__all__ = ["Preset", "SyntheticFlavor", "SyntheticSpec", "generate", "load_preset", "mean_population", "presets"]
